package suite

import (
	"fmt"
	"strings"
	"time"
)

// gatePatience is for a scenario that never opens its gate.
const gatePatience = 60 * time.Second

// ScenarioError is what a program or an activity fails with when it is told to.
type ScenarioError struct{ message string }

func (e *ScenarioError) Error() string { return e.message }

// Call is one execution of an activity: the worker's name and, where the SDK shows it, the
// execution's id.
type Call struct{ Worker, Execution string }

// Activities are the activities that programs call, by name.
var Activities = map[string]func(Call, any) (any, error){
	"echo":    func(_ Call, value any) (any, error) { return value, nil },
	"nothing": func(Call, any) (any, error) { return nil, nil },
	"blob":    func(_ Call, size any) (any, error) { return strings.Repeat("x", int(size.(float64))), nil },
	"count":   func(_ Call, key any) (any, error) { return left.count(key.(string)), nil },
	"boom":    func(_ Call, message any) (any, error) { return nil, &ScenarioError{message.(string)} },
	"flaky":   func(_ Call, about any) (any, error) { return flaky(about.(map[string]any)) },
	"who":     func(call Call, _ any) (any, error) { return call.Worker, nil },
	"gate":    func(call Call, key any) (any, error) { return gate(call, key.(string)) },
	"seen": func(call Call, value any) (any, error) {
		about := value.(map[string]any)
		left.note(about["key"].(string), call.Execution)
		return flaky(about)
	},
}

// flaky fails so many times under a key, then gives the number of the attempt.
func flaky(about map[string]any) (any, error) {
	attempt := left.count(about["key"].(string))
	if float64(attempt) <= about["failures"].(float64) {
		return nil, &ScenarioError{fmt.Sprintf("attempt %d", attempt)}
	}
	return attempt, nil
}

// gate waits until the scenario opens the gate; how many wait at once is noted.
func gate(call Call, key string) (any, error) {
	opened := left.enter(key)
	defer left.leave(key)
	select {
	case <-opened:
		return call.Worker, nil
	case <-time.After(gatePatience):
		return nil, &ScenarioError{fmt.Sprintf("gate %s was never opened", key)}
	}
}
