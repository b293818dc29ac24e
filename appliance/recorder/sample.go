package recorder

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"ramjet/appliance/unixhttp"
)

// sampler measures, and remembers what it has measured before. It is owned by one goroutine.
type sampler struct {
	client *http.Client

	at            time.Time
	busy, all     float64
	in, out       int64
	before        *exposition // nil: the accelerator did not answer
	started       float64     // when the accelerator that was seen last was started
	sinceKeyframe int
}

// keyframe is after how many samples all gauges are in one again.
const keyframe = 60

func newSampler(socket string) *sampler {
	transport := unixhttp.Transport(socket)
	transport.DisableKeepAlives, transport.DisableCompression = false, true // Once a second, and not far.
	transport.MaxIdleConns, transport.IdleConnTimeout = 1, 10*time.Second
	return &sampler{client: &http.Client{Timeout: 800 * time.Millisecond, Transport: transport}}
}

// take measures. again tells that the accelerator is another process than before.
func (s *sampler) take(ctx context.Context) (sample *Sample, again bool) {
	now := time.Now()
	seconds := now.Sub(s.at).Seconds()
	first := s.at.IsZero()
	s.at = now
	sample = &Sample{Free: available(), Load: load(), Temp: temperature()}
	busy, all := processors()
	in, out := network()
	if !first && all > s.all {
		sample.CPU = round(100 * (busy - s.busy) / (all - s.all))
		sample.In, sample.Out = max(in-s.in, 0), max(out-s.out, 0)
	}
	s.busy, s.all, s.in, s.out = busy, all, in, out
	x, err := s.ask(ctx)
	if err != nil {
		sample.Trouble, s.before = cut(err.Error(), 200), nil
		return sample, false
	}
	again = s.started != 0 && x.started != s.started
	if again {
		s.before = nil
	}
	s.sinceKeyframe++
	if s.before == nil || s.sinceKeyframe >= keyframe {
		s.sinceKeyframe = 0
	}
	x.compare(s.before, s.sinceKeyframe == 0, seconds, sample)
	s.before, s.started = x, x.started
	return sample, again
}

// ask reads the accelerator's metrics.
func (s *sampler) ask(ctx context.Context) (*exposition, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://accelerator/metrics", nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET /metrics: %s", answer.Status)
	}
	return readExposition(io.LimitReader(answer.Body, 8<<20))
}

// exposition is what there is in a text of metrics (Prometheus text format 0.0.4), as far as it is recorded: all that
// begins with ramjet_, but for histograms and what is known of the content; of the event loops the sum.
type exposition struct {
	counters, gauges map[string]float64
	cpu, memory      float64
	started          float64
	lagSum, lagCount float64
}

func readExposition(from io.Reader) (*exposition, error) {
	x := &exposition{counters: map[string]float64{}, gauges: map[string]float64{}}
	kind := ""
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		line := lines.Text()
		if rest, is := strings.CutPrefix(line, "# TYPE "); is {
			_, kind, _ = strings.Cut(rest, " ")
			continue
		}
		name, text, ok := cutLast(line, " ")
		value, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil || strings.HasPrefix(line, "#") {
			continue
		}
		switch name {
		case "process_cpu_seconds_total":
			x.cpu = value
		case "process_resident_memory_bytes":
			x.memory = value
		case "process_start_time_seconds":
			x.started = value
		case "ramjet_loop_lag_seconds_sum":
			x.lagSum = value
		case "ramjet_loop_lag_seconds_count":
			x.lagCount = value
		}
		short, own := strings.CutPrefix(name, "ramjet_")
		if !own || strings.HasPrefix(short, "content_") {
			continue
		}
		if i := strings.Index(short, "{loop="); i >= 0 {
			short = short[:i]
		}
		switch kind {
		case "counter":
			x.counters[strings.Replace(short, "_total", "", 1)] += value
		case "gauge":
			x.gauges[short] += value
		}
	}
	return x, lines.Err()
}

func cutLast(text, separator string) (before, after string, ok bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// compare fills in what has changed since before; before may be nil.
func (x *exposition) compare(before *exposition, whole bool, seconds float64, s *Sample) {
	s.Memory = int64(x.memory) >> 20
	if before == nil {
		before = &exposition{cpu: x.cpu, lagSum: x.lagSum, lagCount: x.lagCount, counters: x.counters}
	}
	if seconds > 0 {
		s.Busy = round(100 * (x.cpu - before.cpu) / seconds)
	}
	if n := x.lagCount - before.lagCount; n > 0 {
		s.Lag = int64(1e6 * (x.lagSum - before.lagSum) / n)
	}
	for name, value := range x.counters {
		if d := value - before.counters[name]; d > 0 && len(s.Counts) < maxSeries {
			if s.Counts == nil {
				s.Counts = map[string]float64{}
			}
			s.Counts[name] = d
		}
	}
	for name, value := range x.gauges {
		old, known := before.gauges[name]
		if (value != old || whole && value != 0 || !known && value != 0) && len(s.Gauges) < maxSeries {
			if s.Gauges == nil {
				s.Gauges = map[string]float64{}
			}
			s.Gauges[name] = value
		}
	}
}

func round(x float64) float64 { return float64(int64(10*x+0.5)) / 10 }

// processors returns how long they were busy, and how long altogether, in ticks (proc_stat(5)).
func processors() (busy, all float64) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line) {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil || i > 8 { // Guests are counted as user time already.
			continue
		}
		all += n
		if i != 4 && i != 5 { // idle, iowait
			busy += n
		}
	}
	return busy, all
}

// available is the memory that can be had, in MiB (proc_meminfo(5)).
func available() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	_, rest, _ := strings.Cut(string(text), "MemAvailable:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[0], 10, 64)
	return n >> 10
}

// load is the load average of a minute (proc_loadavg(5)).
func load() float64 {
	text, _ := os.ReadFile("/proc/loadavg")
	field, _, _ := strings.Cut(string(text), " ")
	n, _ := strconv.ParseFloat(field, 64)
	return n
}

// network returns the bytes that came and went on all interfaces but lo (proc_pid_net(5)).
func network() (in, out int64) {
	text, _ := os.ReadFile("/proc/net/dev")
	for line := range strings.Lines(string(text)) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if !ok || len(f) < 9 || strings.TrimSpace(name) == "lo" {
			continue
		}
		received, _ := strconv.ParseInt(f[0], 10, 64)
		sent, _ := strconv.ParseInt(f[8], 10, 64)
		in, out = in+received, out+sent
	}
	return in, out
}

// temperature is that of the first sensor, in °C; 0 if there is none.
func temperature() float64 {
	text, _ := os.ReadFile("/sys/class/thermal/thermal_zone0/temp")
	n, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return round(n / 1000)
}
