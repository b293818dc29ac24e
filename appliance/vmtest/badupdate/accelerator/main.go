// Command accelerator is one that answers 500 to everything: the story of a bad update sends it.
package main

import "net/http"

func main() {
	err := http.ListenAndServe(":80", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "broken", http.StatusInternalServerError)
	}))
	panic(err)
}
