// Package suite has what the drivers of Go's SDKs share: the interpreter of workflow programs, the
// activities that programs call, and the loop that reads commands.
package suite

import (
	"errors"
	"fmt"
	"reflect"
	"time"
	"unicode/utf16"
)

// Forever is a wait without a limit, as the SDKs write it.
const Forever = time.Duration(-1)

// Object is a JSON object.
type Object = map[string]any

// Task is what the SDKs give for something that was started.
type Task interface{ Await(v any) error }

// Flow is the interpreter's view of an SDK's context.
type Flow interface {
	// Activity starts what["name"] with what["input"], under what["retry"] where it is there.
	Activity(what Object) Task
	// Child starts what["name"] with what["input"], under the id what["id"] where it is there.
	Child(what Object) Task
	Timer(wait time.Duration) Task
	Event(name string, limit time.Duration) Task
	Status(text string)
	Again(input any, keepEvents bool)
	Patched(name string) bool
	Now() time.Time
	ID() string
	Replaying() bool
}

// Run is the body of every workflow: it walks over the program of start, and calls the SDK's own
// methods through flow. (The language: program.py above.)
func Run(flow Flow, start Object) (any, error) {
	one := walk{flow: flow, program: start["program"], tasks: map[string][]Task{}}
	one.variables, _ = valueOf(start["vars"], nil).(Object)
	if one.variables == nil {
		one.variables = Object{}
	}
	ended, err := one.block(start["program"])
	var failed *taskError
	if errors.As(err, &failed) {
		return nil, failed.error // as an app gives back what Await gave it
	}
	if err != nil || ended == nil {
		return nil, err
	}
	return ended.value, nil
}

type walk struct {
	flow      Flow
	program   any
	variables Object
	tasks     map[string][]Task
}

type end struct{ value any }

// taskError tells a task's failure, which a program can catch, from the program's own.
type taskError struct{ error }

func (w *walk) block(steps any) (*end, error) {
	for _, item := range steps.([]any) {
		step := item.(Object)
		into, _ := step["as"].(string)
		var result any
		switch op := step["op"].(string); op {
		case "task":
			made, err := w.started(w.value(step["what"]).(Object))
			if err != nil {
				return nil, err
			}
			if name, push := step["push"].(string); push {
				w.tasks[name] = append(w.tasks[name], made)
			} else {
				w.tasks[into] = []Task{made}
			}
			continue
		case "wait":
			if err := await(w.tasks[step["task"].(string)][0], &result); err != nil {
				return nil, err
			}
		case "all":
			results := []any{}
			for _, one := range w.named(step["tasks"]) {
				var value any
				if err := await(one, &value); err != nil {
					return nil, err
				}
				results = append(results, value)
			}
			result = results
		case "set":
			result = w.value(step["value"])
		case "append":
			before, _ := w.variables[into].([]any)
			result = append(append([]any{}, before...), w.value(step["value"]))
		case "if", "loop", "try":
			if ended, err := w.nested(op, step); ended != nil || err != nil {
				return ended, err
			}
		case "return":
			return &end{w.value(step["value"])}, nil
		case "fail":
			return nil, &ScenarioError{fmt.Sprint(w.value(step["message"]))}
		case "again":
			keep, _ := step["keep_events"].(bool)
			w.flow.Again(Object{"program": w.program, "vars": w.value(step["vars"])}, keep)
			return &end{}, nil
		case "status":
			w.flow.Status(fmt.Sprint(w.value(step["value"])))
		case "trace":
			left.note(w.flow.ID(), []any{w.value(step["value"]), w.flow.Replaying()})
		case "patched":
			result = w.flow.Patched(step["name"].(string))
		case "info":
			result = Object{"id": w.flow.ID()}
		case "now":
			result = float64(w.flow.Now().UnixMilli())
		default:
			return nil, fmt.Errorf("no such step: %s", op)
		}
		if into != "" {
			w.variables[into] = result
		}
	}
	return nil, nil
}

func await(task Task, into *any) error {
	if err := task.Await(into); err != nil {
		return &taskError{err}
	}
	return nil
}

func (w *walk) started(what Object) (Task, error) {
	switch kind := what["kind"].(string); kind {
	case "activity":
		return w.flow.Activity(what), nil
	case "child":
		return w.flow.Child(what), nil
	case "timer":
		// A timer for a date is a timer of the time until then: the SDKs know no other.
		if at, dated := what["at"].(float64); dated {
			return w.flow.Timer(millis(at)), nil
		}
		return w.flow.Timer(millis(what["ms"])), nil
	case "event":
		limit := Forever
		if what["timeout_ms"] != nil {
			limit = millis(what["timeout_ms"])
		}
		return w.flow.Event(what["name"].(string), limit), nil
	default:
		return nil, fmt.Errorf("no such task: %s", kind)
	}
}

func (w *walk) nested(op string, step Object) (*end, error) {
	switch op {
	case "if":
		left, right := w.value(step["left"]), w.value(step["right"])
		holds := reflect.DeepEqual(left, right)
		if step["cmp"] == "<" {
			holds = left.(float64) < right.(float64)
		}
		if holds {
			return w.block(step["then"])
		}
		return w.block(step["else"])
	case "loop":
		for i := 0.0; i < w.value(step["count"]).(float64); i++ {
			w.variables["i"] = i
			if ended, err := w.block(step["body"]); ended != nil || err != nil {
				return ended, err
			}
		}
		return nil, nil
	}
	ended, err := w.block(step["body"])
	var failed *taskError
	if !errors.As(err, &failed) {
		return ended, err
	}
	w.variables["error"] = Object{"message": failed.Error()}
	return w.block(step["catch"])
}

func (w *walk) named(names any) []Task {
	if name, group := names.(string); group {
		return w.tasks[name]
	}
	found := []Task{}
	for _, name := range names.([]any) {
		found = append(found, w.tasks[name.(string)][0])
	}
	return found
}

func (w *walk) value(expression any) any { return valueOf(expression, w.variables) }

// valueOf is the value of an expression of the language.
func valueOf(expression any, variables Object) any {
	if parts, list := expression.([]any); list {
		values := []any{}
		for _, part := range parts {
			values = append(values, valueOf(part, variables))
		}
		return values
	}
	parts, object := expression.(Object)
	if !object {
		return expression
	}
	if program, start := parts["program"]; start {
		values := Object{"program": program, "vars": Object{}}
		if parts["vars"] != nil {
			values["vars"] = valueOf(parts["vars"], variables)
		}
		return values
	}
	if name, variable := parts["$var"].(string); variable {
		return variables[name]
	}
	if path, part := parts["$get"]; part {
		steps := valueOf(path, variables).([]any)
		found := steps[0]
		for _, step := range steps[1:] {
			if name, named := step.(string); named {
				found = found.(Object)[name]
			} else {
				found = found.([]any)[int(step.(float64))]
			}
		}
		return found
	}
	if both, sum := parts["$add"]; sum {
		pair := valueOf(both, variables).([]any)
		if number, numeric := pair[0].(float64); numeric {
			return number + pair[1].(float64)
		}
		return fmt.Sprint(pair[0], pair[1])
	}
	if measured, length := parts["$len"]; length {
		switch found := valueOf(measured, variables).(type) {
		case string:
			return float64(len(utf16.Encode([]rune(found))))
		case []any:
			return float64(len(found))
		}
		return 0.0
	}
	values := Object{}
	for key, part := range parts {
		values[key] = valueOf(part, variables)
	}
	return values
}

func millis(value any) time.Duration {
	return time.Duration(value.(float64) * float64(time.Millisecond))
}

// Retry is a retry policy; what it does not set is zero, which to the SDKs is their default.
type Retry struct {
	Attempts            int
	First, Max, Timeout time.Duration
	Backoff             float64
}

// RetryOf is the retry policy of a task, nil where it has none.
func RetryOf(what Object) *Retry {
	given, some := what["retry"].(Object)
	if !some {
		return nil
	}
	policy := &Retry{Attempts: int(given["attempts"].(float64)), First: millis(given["first_ms"])}
	policy.Backoff, _ = given["backoff"].(float64)
	if given["max_ms"] != nil {
		policy.Max = millis(given["max_ms"])
	}
	if given["timeout_ms"] != nil {
		policy.Timeout = millis(given["timeout_ms"])
	}
	return policy
}
