// Command init is one that panics: the story of a bad update sends it.
package main

func main() { panic("this init is broken") }
