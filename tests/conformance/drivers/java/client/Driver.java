package client;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.dapr.client.DaprClient;
import io.dapr.client.DaprClientBuilder;
import io.dapr.client.domain.DaprMetadata;
import io.dapr.exceptions.DaprException;
import io.dapr.workflows.Workflow;
import io.dapr.workflows.WorkflowActivity;
import io.dapr.workflows.WorkflowStub;
import io.dapr.workflows.client.DaprWorkflowClient;
import io.dapr.workflows.client.WorkflowState;
import io.dapr.workflows.runtime.WorkflowRuntime;
import io.dapr.workflows.runtime.WorkflowRuntimeBuilder;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the clients and the worker of the Dapr SDK for Java ask of a sidecar.
 *
 * <p>Ports and token come from the environment, as an app gets them. Prints what it saw as one JSON
 * object.
 */
public final class Driver {
  private static final Duration LIMIT = Duration.ofSeconds(50);

  /** Asks for a price, waits for an answer, and ends with both. */
  public static final class Ask implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        String item = ctx.getInput(String.class);
        String price = ctx.callActivity("price", item, String.class).await();
        boolean approved = ctx.waitForExternalEvent("answer", Boolean.class).await();
        ctx.complete(List.of(item, price, approved));
      };
    }
  }

  /** Fails. */
  public static final class Broken implements Workflow {
    @Override
    public WorkflowStub create() {
      return ctx -> {
        throw new IllegalStateException("no stock");
      };
    }
  }

  private interface Call {
    void run() throws Exception;
  }

  public static void main(String[] args) {
    int code = 1;
    try {
      System.out.println(new ObjectMapper().writeValueAsString(seen()));
      code = 0;
    } catch (Exception error) {
      error.printStackTrace();
    }
    System.exit(code); // the SDK's threads would go on
  }

  private static Map<String, Object> seen() throws Exception {
    Map<String, Object> seen = new LinkedHashMap<>();
    try (DaprClient client = new DaprClientBuilder().build()) {
      client.waitForSidecar((int) LIMIT.toMillis()).block();
      WorkflowRuntimeBuilder builder = new WorkflowRuntimeBuilder();
      builder.registerWorkflow("ask", Ask.class);
      builder.registerWorkflow("broken", Broken.class);
      builder.registerActivity("price", (WorkflowActivity) ctx -> "9 for " + ctx.getInput(String.class));
      WorkflowRuntime runtime = builder.build();
      runtime.start(false);
      try (DaprWorkflowClient flows = new DaprWorkflowClient()) {
        walk(flows, seen);
      }
      DaprMetadata found = client.getMetadata().block(LIMIT);
      seen.put("id", found.getId());
      seen.put("components", found.getComponents().size());
      seen.put("shutdown", refusal(() -> client.shutdown().block(LIMIT)));
      seen.put("state", refusal(() -> client.getState("store", "key", String.class).block(LIMIT)));
      runtime.close();
    }
    return seen;
  }

  private static void walk(DaprWorkflowClient flows, Map<String, Object> seen) throws Exception {
    seen.put("started", flows.scheduleNewWorkflow("ask", "book", "one"));
    WorkflowState begun = flows.waitForWorkflowStart("one", LIMIT, true);
    seen.put("name", begun.getName());
    seen.put("input", begun.readInputAs(String.class));
    seen.put("again", refusal(() -> flows.scheduleNewWorkflow("ask", "book", "one")));
    flows.suspendWorkflow("one", "stock is counted");
    seen.put("suspended", flows.getWorkflowState("one", false).getRuntimeStatus().name());
    flows.resumeWorkflow("one", "counted");
    seen.put("resumed", flows.getWorkflowState("one", false).getRuntimeStatus().name());
    seen.put("early", refusal(() -> flows.purgeWorkflow("one")));
    flows.raiseEvent("one", "answer", true);
    WorkflowState ended = flows.waitForWorkflowCompletion("one", LIMIT, true);
    seen.put("completed", ended.getRuntimeStatus().name());
    seen.put("output", ended.readOutputAs(List.class));
    seen.put("purged", List.of(flows.purgeWorkflow("one"), flows.purgeWorkflow("one")));
    seen.put("gone", flows.getWorkflowState("one", false).getName());
    flows.scheduleNewWorkflow("ask", "lamp", "two");
    flows.terminateWorkflow("two", "sold out");
    WorkflowState terminated = flows.waitForWorkflowCompletion("two", LIMIT, true);
    seen.put("terminated", terminated.getRuntimeStatus().name());
    seen.put("because", terminated.readOutputAs(String.class));
    flows.scheduleNewWorkflow("broken", null, "three");
    WorkflowState failed = flows.waitForWorkflowCompletion("three", LIMIT, true);
    seen.put("failed", failed.getRuntimeStatus().name());
    seen.put("failure", failed.getFailureDetails().getErrorMessage());
    seen.put("nobody", refusal(() -> flows.suspendWorkflow("nobody", "")));
  }

  /** Status and text of a call that is refused; null when it was not. */
  private static List<String> refusal(Call call) throws Exception {
    try {
      call.run();
    } catch (StatusRuntimeException refused) {
      return List.of(refused.getStatus().getCode().name(), refused.getStatus().getDescription());
    } catch (DaprException refused) {
      return List.of(refused.getErrorCode(), refused.getMessage());
    }
    return null;
  }

  private Driver() {}
}
