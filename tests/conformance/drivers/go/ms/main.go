// The driver of github.com/microsoft/durabletask-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/microsoft/durabletask-go/api"
	"github.com/microsoft/durabletask-go/backend"
	"github.com/microsoft/durabletask-go/client"
	"github.com/microsoft/durabletask-go/task"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"tenure.dev/conformance/suite"
)

func main() { suite.Main(open) }

type app struct {
	name       string
	connection *grpc.ClientConn
	client     *client.TaskHubGrpcClient
	stop       context.CancelFunc
}

func open(name, address string) (suite.App, error) {
	insecurely := grpc.WithTransportCredentials(insecure.NewCredentials())
	connection, err := grpc.Dial(address, insecurely)
	if err != nil {
		return nil, err
	}
	hub := client.NewTaskHubGrpcClient(connection, backend.DefaultLogger())
	return &app{name: name, connection: connection, client: hub, stop: func() {}}, nil
}

func (a *app) Close() {
	a.stop()
	a.connection.Close()
}

func (a *app) StartWorker(options suite.Object) error {
	registry := task.NewTaskRegistry()
	problems := []error{registry.AddOrchestratorN("run", body(nil))}
	extra, _ := options["workflows"].([]any)
	for _, item := range extra {
		one := item.(suite.Object)
		problems = append(problems, registry.AddOrchestratorN(one["name"].(string), body(one["program"])))
	}
	for name, run := range suite.Activities {
		problems = append(problems, registry.AddActivityN(name, func(ctx task.ActivityContext) (any, error) {
			var input any
			if err := ctx.GetInput(&input); err != nil {
				return nil, err
			}
			return run(suite.Call{Worker: a.name}, input)
		}))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	return a.client.StartWorkItemListener(ctx, registry)
}

func body(program any) task.Orchestrator {
	return func(ctx *task.OrchestrationContext) (any, error) {
		var input any
		if err := ctx.GetInput(&input); err != nil {
			return nil, err
		}
		if program != nil {
			input = suite.Starting(program, input)
		}
		return suite.Run(flow{ctx}, input.(suite.Object))
	}
}

func (a *app) Command(op string, with suite.Object) (any, error) {
	ctx := context.Background()
	id := api.InstanceID(suite.Text(with, "instance"))
	switch op {
	case "stop_worker":
		a.stop()
		return nil, nil
	case "start":
		return a.start(ctx, id, with)
	case "get":
		payloads := api.WithFetchPayloads(with["payloads"] != false)
		return state(a.client.FetchOrchestrationMetadata(ctx, id, payloads))
	case "wait_start":
		waiting, done := suite.Waiting(with)
		defer done()
		return state(a.client.WaitForOrchestrationStart(waiting, id))
	case "wait_done":
		waiting, done := suite.Waiting(with)
		defer done()
		return state(a.client.WaitForOrchestrationCompletion(waiting, id))
	case "raise_event":
		value, some := with["value"]
		if !some {
			return nil, a.client.RaiseEvent(ctx, id, with["name"].(string))
		}
		return nil, a.client.RaiseEvent(ctx, id, with["name"].(string), api.WithEventPayload(value))
	case "suspend":
		return nil, a.client.SuspendOrchestration(ctx, id, "")
	case "resume":
		return nil, a.client.ResumeOrchestration(ctx, id, "")
	case "terminate":
		options := []api.TerminateOptions{}
		if output, some := with["output"]; some {
			options = append(options, api.WithOutput(output))
		}
		if recursive, some := with["recursive"].(bool); some {
			options = append(options, api.WithRecursiveTerminate(recursive))
		}
		return nil, a.client.TerminateOrchestration(ctx, id, options...)
	case "purge":
		recursive, some := with["recursive"].(bool)
		err := a.client.PurgeOrchestrationState(ctx, id, api.WithRecursivePurge(recursive || !some))
		if errors.Is(err, api.ErrInstanceNotFound) {
			return 0, nil // what the SDK says when none went, whatever the reason
		}
		return nil, err
	}
	return nil, fmt.Errorf("no such command: %s", op)
}

func (a *app) start(ctx context.Context, id api.InstanceID, with suite.Object) (any, error) {
	options := []api.NewOrchestrationOptions{}
	if id != "" {
		options = append(options, api.WithInstanceID(id))
	}
	if input, some := with["input"]; some {
		options = append(options, api.WithInput(input))
	}
	if with["at_ms"] != nil {
		options = append(options, api.WithStartTime(suite.Moment(with["at_ms"])))
	}
	if names, some := with["reuse"].([]any); some {
		policy := &api.OrchestrationIdReusePolicy{Action: api.REUSE_ID_ACTION_TERMINATE}
		for _, name := range names {
			policy.OperationStatus = append(policy.OperationStatus, statuses[name.(string)])
		}
		options = append(options, api.WithOrchestrationIdReusePolicy(policy))
	}
	return a.client.ScheduleNewOrchestration(ctx, suite.Workflow(with), options...)
}

var statuses = map[string]api.OrchestrationStatus{
	"RUNNING":    api.RUNTIME_STATUS_RUNNING,
	"COMPLETED":  api.RUNTIME_STATUS_COMPLETED,
	"FAILED":     api.RUNTIME_STATUS_FAILED,
	"TERMINATED": api.RUNTIME_STATUS_TERMINATED,
}

func state(found *api.OrchestrationMetadata, err error) (any, error) {
	if errors.Is(err, api.ErrInstanceNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return suite.Object{
		"id":            found.InstanceID,
		"name":          found.Name,
		"status":        strings.TrimPrefix(found.RuntimeStatus.String(), "ORCHESTRATION_STATUS_"),
		"created":       found.CreatedAt.UnixMilli(),
		"updated":       found.LastUpdatedAt.UnixMilli(),
		"input":         found.SerializedInput,
		"output":        found.SerializedOutput,
		"custom_status": found.SerializedCustomStatus,
	}, nil
}

// flow is the interpreter's view of the SDK's context.
type flow struct{ ctx *task.OrchestrationContext }

func (f flow) Activity(what suite.Object) suite.Task {
	input := task.WithActivityInput(what["input"])
	return f.ctx.CallActivity(what["name"], input, task.WithActivityRetryPolicy(retry(what)))
}

func (f flow) Child(what suite.Object) suite.Task {
	return f.ctx.CallSubOrchestrator(
		what["name"],
		task.WithSubOrchestratorInput(what["input"]),
		task.WithSubOrchestrationInstanceID(suite.Text(what, "id")),
		task.WithSubOrchestrationRetryPolicy(retry(what)),
	)
}

func retry(what suite.Object) *task.RetryPolicy {
	given := suite.RetryOf(what)
	if given == nil {
		return nil
	}
	return &task.RetryPolicy{
		MaxAttempts:          given.Attempts,
		InitialRetryInterval: given.First,
		BackoffCoefficient:   given.Backoff,
		MaxRetryInterval:     given.Max,
		RetryTimeout:         given.Timeout,
	}
}

func (f flow) Timer(wait time.Duration) suite.Task { return f.ctx.CreateTimer(wait) }

func (f flow) Event(name string, limit time.Duration) suite.Task {
	return f.ctx.WaitForSingleEvent(name, limit)
}

func (f flow) Status(text string) { f.ctx.SetCustomStatus(text) }

func (f flow) Again(input any, keepEvents bool) {
	if keepEvents {
		f.ctx.ContinueAsNew(input, task.WithKeepUnprocessedEvents())
	} else {
		f.ctx.ContinueAsNew(input)
	}
}

// Patched: the SDK has no patches, and no scenario asks it.
func (f flow) Patched(string) bool { return false }
func (f flow) Now() time.Time      { return f.ctx.CurrentTimeUtc }
func (f flow) ID() string          { return string(f.ctx.ID) }
func (f flow) Replaying() bool     { return f.ctx.IsReplaying }
