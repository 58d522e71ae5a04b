// Every workflow call of the Dapr SDK's client for Go, over Dapr's runtime service.
//
// The sidecar's port is in DAPR_GRPC_PORT, its token in DAPR_API_TOKEN. No worker has to be
// there: what is asked for is durable without one. Prints what it saw as one JSON object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	dapr "github.com/dapr/go-sdk/client"
)

// limit is for a sidecar that does not answer.
const limit = 50 * time.Second

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	seen, err := run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (map[string]any, error) {
	client, err := dapr.NewClient()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if err := client.Wait(ctx, limit); err != nil {
		return nil, err
	}
	seen := map[string]any{}
	started, err := client.StartWorkflowBeta1(ctx, &dapr.StartWorkflowRequest{
		InstanceID:        "one",
		WorkflowComponent: "dapr",
		WorkflowName:      "order",
		Input:             map[string]string{"item": "book"},
	})
	if err != nil {
		return nil, err
	}
	seen["started"] = started.InstanceID
	one, err := client.GetWorkflowBeta1(ctx, &dapr.GetWorkflowRequest{InstanceID: "one", WorkflowComponent: "dapr"})
	if err != nil {
		return nil, err
	}
	seen["name"] = one.WorkflowName
	seen["pending"] = one.RuntimeStatus
	seen["input"] = one.Properties["dapr.workflow.input"]
	seen["dated"] = !one.CreatedAt.IsZero() && !one.LastUpdatedAt.IsZero()
	_, err = client.StartWorkflowBeta1(ctx, &dapr.StartWorkflowRequest{
		InstanceID: "one", WorkflowComponent: "dapr", WorkflowName: "order",
	})
	seen["again"] = told(err)

	if err := client.RaiseEventWorkflowBeta1(ctx, &dapr.RaiseEventWorkflowRequest{
		InstanceID: "one", WorkflowComponent: "dapr", EventName: "go", EventData: true,
	}); err != nil {
		return nil, err
	}
	if err := client.PauseWorkflowBeta1(ctx, &dapr.PauseWorkflowRequest{InstanceID: "one", WorkflowComponent: "dapr"}); err != nil {
		return nil, err
	}
	if seen["paused"], err = state(ctx, client); err != nil {
		return nil, err
	}
	if err := client.ResumeWorkflowBeta1(ctx, &dapr.ResumeWorkflowRequest{InstanceID: "one", WorkflowComponent: "dapr"}); err != nil {
		return nil, err
	}
	if seen["resumed"], err = state(ctx, client); err != nil {
		return nil, err
	}
	seen["early"] = told(client.PurgeWorkflowBeta1(ctx, &dapr.PurgeWorkflowRequest{InstanceID: "one", WorkflowComponent: "dapr"}))
	if err := client.TerminateWorkflowBeta1(ctx, &dapr.TerminateWorkflowRequest{InstanceID: "one", WorkflowComponent: "dapr"}); err != nil {
		return nil, err
	}
	if seen["terminated"], err = state(ctx, client); err != nil {
		return nil, err
	}
	if err := client.PurgeWorkflowBeta1(ctx, &dapr.PurgeWorkflowRequest{InstanceID: "one", WorkflowComponent: "dapr"}); err != nil {
		return nil, err
	}
	seen["gone"] = told(client.TerminateWorkflowBeta1(ctx, &dapr.TerminateWorkflowRequest{InstanceID: "one", WorkflowComponent: "dapr"}))
	if err := client.SetMetadata(ctx, "team", "blue"); err != nil {
		return nil, err
	}
	found, err := client.GetMetadata(ctx)
	if err != nil {
		return nil, err
	}
	seen["id"] = found.ID
	seen["team"] = found.ExtendedMetadata["team"]
	return seen, nil
}

func state(ctx context.Context, client dapr.Client) (string, error) {
	one, err := client.GetWorkflowBeta1(ctx, &dapr.GetWorkflowRequest{InstanceID: "one", WorkflowComponent: "dapr"})
	if err != nil {
		return "", err
	}
	return one.RuntimeStatus, nil
}

// told is what a refusal says, empty when there was none. The client keeps the text alone.
func told(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
