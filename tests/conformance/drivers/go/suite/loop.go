package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/status"
)

// App is a worker and a client of one engine.
type App interface {
	StartWorker(options Object) error
	Command(op string, with Object) (any, error)
	Close()
}

// Open opens an app under a name, at an address.
type Open func(name, address string) (App, error)

// Main reads commands until the pipe ends and does each in a goroutine of its own: JSON lines in,
// {"id", "op", …}, and answers out, {"id", "ok"} or {"id", "error": {"code", "message"}}.
func Main(open Open) {
	apps := &apps{open: open, byName: map[string]App{}}
	var writing sync.Mutex
	answers := json.NewEncoder(os.Stdout)
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return // the suite has closed the pipe
		}
		var command Object
		if err := json.Unmarshal(line, &command); err != nil {
			log.Fatalf("not a command: %v", err)
		}
		go func() {
			answer := Object{"id": command["id"]}
			if found, err := apps.perform(command["op"].(string), command); err != nil {
				answer["error"] = errorOf(err)
			} else {
				answer["ok"] = found
			}
			writing.Lock()
			defer writing.Unlock()
			if err := answers.Encode(answer); err != nil {
				log.Fatalf("the answer could not be written: %v", err)
			}
		}()
	}
}

type apps struct {
	open   Open
	lock   sync.Mutex
	byName map[string]App
}

func (a *apps) perform(op string, with Object) (any, error) {
	switch op {
	case "count", "peak", "trace", "release":
		return left.command(op, with["key"].(string)), nil
	}
	name := with["app"].(string)
	if op == "open" {
		app, err := a.open(name, fmt.Sprintf("%s:%d", with["host"], int(with["port"].(float64))))
		if err != nil {
			return nil, err
		}
		a.lock.Lock()
		a.byName[name] = app
		a.lock.Unlock()
		if worker, some := with["worker"].(Object); some {
			return nil, app.StartWorker(worker)
		}
		return nil, nil
	}
	a.lock.Lock()
	app := a.byName[name]
	if op == "close" {
		delete(a.byName, name)
	}
	a.lock.Unlock()
	switch op {
	case "close":
		app.Close()
		return nil, nil
	case "start_worker":
		return nil, app.StartWorker(with["options"].(Object))
	}
	return app.Command(op, with)
}

var words = regexp.MustCompile(`[a-z][A-Z]`)

// errorOf is an error as scenarios see it: its code as the gRPC specification writes it.
func errorOf(err error) Object {
	if errors.Is(err, context.DeadlineExceeded) {
		return Object{"code": "DEADLINE_EXCEEDED", "message": err.Error()}
	}
	if code := status.Code(rpcError(err)).String(); rpcError(err) != nil {
		if code == "Canceled" {
			code = "Cancelled" // Go's way to write it
		}
		apart := words.ReplaceAllStringFunc(code, func(pair string) string {
			return pair[:1] + "_" + pair[1:]
		})
		return Object{"code": strings.ToUpper(apart), "message": err.Error()}
	}
	return Object{"code": fmt.Sprintf("%T", err), "message": err.Error()}
}

// rpcError is the call's own error inside of what the SDK made of it, nil when there is none.
func rpcError(err error) error {
	for ; err != nil; err = errors.Unwrap(err) {
		if _, found := err.(interface{ GRPCStatus() *status.Status }); found {
			return err
		}
	}
	return nil
}

// Waiting is a context for a wait, with the limit that the command gives.
func Waiting(with Object) (context.Context, context.CancelFunc) {
	limit := 30 * time.Second
	if given, some := with["timeout_ms"].(float64); some {
		limit = millis(given)
	}
	return context.WithTimeout(context.Background(), limit)
}

// Moment is a time of the command, in milliseconds since the Unix epoch.
func Moment(ms any) time.Time { return time.UnixMilli(int64(ms.(float64))) }

// Text is a text of the command, empty where it has none.
func Text(with Object, name string) string {
	found, _ := with[name].(string)
	return found
}

// Workflow is the name of the workflow to start: the interpreter unless the command says another.
func Workflow(with Object) string {
	if name := Text(with, "workflow"); name != "" {
		return name
	}
	return "run"
}

// Starting is what a workflow that was registered with a program starts with.
func Starting(program, input any) Object {
	return Object{"program": program, "vars": Object{"input": input}}
}
