package suite

import "sync"

// memory is what activities and programs leave behind, by key; one per driver process.
type memory struct {
	lock    sync.Mutex
	counts  map[string]int
	running map[string]int
	peaks   map[string]int
	traces  map[string][]any
	gates   map[string]chan struct{}
	opened  map[string]bool
}

var left = memory{
	counts:  map[string]int{},
	running: map[string]int{},
	peaks:   map[string]int{},
	traces:  map[string][]any{},
	gates:   map[string]chan struct{}{},
	opened:  map[string]bool{},
}

func (m *memory) count(key string) int {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.counts[key]++
	return m.counts[key]
}

func (m *memory) note(key string, value any) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.traces[key] = append(m.traces[key], value)
}

// enter counts one more that waits at a gate, and gives the gate.
func (m *memory) enter(key string) <-chan struct{} {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.counts[key]++
	m.running[key]++
	m.peaks[key] = max(m.peaks[key], m.running[key])
	return m.gate(key)
}

func (m *memory) leave(key string) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.running[key]--
}

func (m *memory) gate(key string) chan struct{} {
	if m.gates[key] == nil {
		m.gates[key] = make(chan struct{})
	}
	return m.gates[key]
}

// command answers a command about the memory.
func (m *memory) command(op, key string) any {
	m.lock.Lock()
	defer m.lock.Unlock()
	switch op {
	case "count":
		return m.counts[key]
	case "peak":
		return m.peaks[key]
	case "trace":
		return append([]any{}, m.traces[key]...)
	}
	if !m.opened[key] { // release
		m.opened[key] = true
		close(m.gate(key))
	}
	return nil
}
