// The driver of github.com/dapr/go-sdk: its connection, and the workflow package of
// github.com/dapr/durabletask-go over it, as the SDK's own NewWorkflowClient joins them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/dapr/durabletask-go/api"
	"github.com/dapr/durabletask-go/workflow"
	dapr "github.com/dapr/go-sdk/client"
	"tenure.dev/conformance/suite"
)

func main() {
	dapr.SetLogger(log.New(os.Stderr, "", 0)) // standard output is for answers
	suite.Main(open)
}

type app struct {
	name       string
	connection dapr.Client
	client     *workflow.Client
	stop       context.CancelFunc
}

func open(name, address string) (suite.App, error) {
	// NewWorkflowClient does this too, with one connection for the whole process.
	connection, err := dapr.NewClientWithAddressContext(context.Background(), address)
	if err != nil {
		return nil, err
	}
	client := workflow.NewClient(connection.GrpcClientConn())
	return &app{name: name, connection: connection, client: client, stop: func() {}}, nil
}

func (a *app) Close() {
	a.stop()
	a.connection.Close()
}

func (a *app) StartWorker(options suite.Object) error {
	registry := workflow.NewRegistry()
	problems := []error{registry.AddWorkflowN("run", body(nil))}
	extra, _ := options["workflows"].([]any)
	for _, item := range extra {
		one := item.(suite.Object)
		name := one["name"].(string)
		if version, versioned := one["version"].(string); versioned {
			latest := one["latest"].(bool)
			add := registry.AddVersionedWorkflowN(name, version, latest, body(one["program"]))
			problems = append(problems, add)
		} else {
			problems = append(problems, registry.AddWorkflowN(name, body(one["program"])))
		}
	}
	for name, run := range suite.Activities {
		problems = append(problems, registry.AddActivityN(name, func(ctx workflow.ActivityContext) (any, error) {
			var input any
			if err := ctx.GetInput(&input); err != nil {
				return nil, err
			}
			return run(suite.Call{Worker: a.name, Execution: ctx.GetTaskExecutionID()}, input)
		}))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	return a.client.StartWorker(ctx, registry)
}

func body(program any) workflow.Workflow {
	return func(ctx *workflow.WorkflowContext) (any, error) {
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
	id := suite.Text(with, "instance")
	switch op {
	case "stop_worker":
		a.stop()
		return nil, nil
	case "start":
		return a.start(ctx, id, with)
	case "get":
		payloads := with["payloads"] != false
		return state(a.client.FetchWorkflowMetadata(ctx, id, workflow.WithFetchPayloads(payloads)))
	case "wait_start":
		waiting, done := suite.Waiting(with)
		defer done()
		return state(a.client.WaitForWorkflowStart(waiting, id))
	case "wait_done":
		waiting, done := suite.Waiting(with)
		defer done()
		return state(a.client.WaitForWorkflowCompletion(waiting, id))
	case "raise_event":
		value, some := with["value"]
		if !some {
			return nil, a.client.RaiseEvent(ctx, id, with["name"].(string))
		}
		return nil, a.client.RaiseEvent(ctx, id, with["name"].(string), workflow.WithEventPayload(value))
	case "suspend":
		return nil, a.client.SuspendWorkflow(ctx, id, "")
	case "resume":
		return nil, a.client.ResumeWorkflow(ctx, id, "")
	case "terminate":
		options := []workflow.TerminateOptions{}
		if output, some := with["output"]; some {
			options = append(options, workflow.WithOutput(output))
		}
		if recursive, some := with["recursive"].(bool); some {
			options = append(options, workflow.WithRecursiveTerminate(recursive))
		}
		return nil, a.client.TerminateWorkflow(ctx, id, options...)
	case "purge":
		recursive, some := with["recursive"].(bool)
		return nil, a.client.PurgeWorkflowState(ctx, id, workflow.WithRecursivePurge(recursive || !some))
	case "list_ids":
		return a.list(ctx, uint32(with["page_size"].(float64)))
	case "history":
		return a.history(ctx, id)
	case "rerun":
		options := []workflow.RerunOptions{}
		if other := suite.Text(with, "new_id"); other != "" {
			options = append(options, workflow.WithRerunNewInstanceID(other))
		}
		if input, some := with["input"]; some {
			options = append(options, workflow.WithRerunInput(input))
		}
		return a.client.RerunWorkflowFromEvent(ctx, id, uint32(with["event"].(float64)), options...)
	}
	return nil, fmt.Errorf("no such command: %s", op)
}

func (a *app) start(ctx context.Context, id string, with suite.Object) (any, error) {
	options := []workflow.NewWorkflowOptions{}
	if id != "" {
		options = append(options, workflow.WithInstanceID(id))
	}
	if input, some := with["input"]; some {
		options = append(options, workflow.WithInput(input))
	}
	if with["at_ms"] != nil {
		options = append(options, workflow.WithStartTime(suite.Moment(with["at_ms"])))
	}
	return a.client.ScheduleWorkflow(ctx, suite.Workflow(with), options...)
}

func (a *app) list(ctx context.Context, size uint32) (any, error) {
	pages := [][]string{}
	options := []workflow.ListInstanceIDsOptions{workflow.WithListInstanceIDsPageSize(size)}
	for {
		page, err := a.client.ListInstanceIDs(ctx, options...)
		if err != nil {
			return nil, err
		}
		pages = append(pages, append([]string{}, page.InstanceIds...))
		if page.ContinuationToken == nil {
			return pages, nil
		}
		onward := workflow.WithListInstanceIDsContinuationToken(*page.ContinuationToken)
		options = []workflow.ListInstanceIDsOptions{options[0], onward}
	}
}

// older are the names of events before Dapr's protocol spoke of workflows.
var older = strings.NewReplacer("WorkflowS", "OrchestratorS", "ChildWorkflow", "SubOrchestration")

func (a *app) history(ctx context.Context, id string) (any, error) {
	found, err := a.client.GetInstanceHistory(ctx, id)
	if err != nil {
		return nil, err
	}
	events := []suite.Object{}
	for _, one := range found.Events {
		kind := strings.TrimPrefix(fmt.Sprintf("%T", one.EventType), "*protos.HistoryEvent_")
		events = append(events, suite.Object{
			"type": older.Replace(kind), "id": one.EventId, "at": one.Timestamp.AsTime().UnixMilli(),
		})
	}
	return events, nil
}

func state(found *workflow.WorkflowMetadata, err error) (any, error) {
	if errors.Is(err, api.ErrInstanceNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	shown := suite.Object{
		"id":            found.InstanceId,
		"name":          found.Name,
		"status":        found.String(),
		"created":       found.CreatedAt.AsTime().UnixMilli(),
		"updated":       found.LastUpdatedAt.AsTime().UnixMilli(),
		"input":         found.Input.GetValue(),
		"output":        found.Output.GetValue(),
		"custom_status": found.CustomStatus.GetValue(),
	}
	if failure := found.FailureDetails; failure != nil {
		shown["failure"] = suite.Object{"type": failure.ErrorType, "message": failure.ErrorMessage}
	}
	return shown, nil
}

// flow is the interpreter's view of the SDK's context.
type flow struct{ ctx *workflow.WorkflowContext }

func (f flow) Activity(what suite.Object) suite.Task {
	options := []workflow.CallActivityOption{workflow.WithActivityInput(what["input"])}
	if policy := retry(what); policy != nil {
		options = append(options, workflow.WithActivityRetryPolicy(policy))
	}
	return f.ctx.CallActivity(what["name"], options...)
}

func (f flow) Child(what suite.Object) suite.Task {
	options := []workflow.ChildWorkflowOption{workflow.WithChildWorkflowInput(what["input"])}
	if id := suite.Text(what, "id"); id != "" {
		options = append(options, workflow.WithChildWorkflowInstanceID(id))
	}
	if policy := retry(what); policy != nil {
		options = append(options, workflow.WithChildWorkflowRetryPolicy(policy))
	}
	return f.ctx.CallChildWorkflow(what["name"], options...)
}

func retry(what suite.Object) *workflow.RetryPolicy {
	given := suite.RetryOf(what)
	if given == nil {
		return nil
	}
	return &workflow.RetryPolicy{
		MaxAttempts:          given.Attempts,
		InitialRetryInterval: given.First,
		BackoffCoefficient:   given.Backoff,
		MaxRetryInterval:     given.Max,
		RetryTimeout:         given.Timeout,
	}
}

func (f flow) Timer(wait time.Duration) suite.Task { return f.ctx.CreateTimer(wait) }

func (f flow) Event(name string, limit time.Duration) suite.Task {
	return f.ctx.WaitForExternalEvent(name, limit)
}

func (f flow) Status(text string) { f.ctx.SetCustomStatus(text) }

func (f flow) Again(input any, keepEvents bool) {
	if keepEvents {
		f.ctx.ContinueAsNew(input, workflow.WithKeepUnprocessedEvents())
	} else {
		f.ctx.ContinueAsNew(input)
	}
}

func (f flow) Patched(name string) bool { return f.ctx.IsPatched(name) }
func (f flow) Now() time.Time           { return f.ctx.CurrentTimeUTC() }
func (f flow) ID() string               { return f.ctx.ID() }
func (f flow) Replaying() bool          { return f.ctx.IsReplaying() }
