package ms;

import com.microsoft.durabletask.CompositeTaskFailedException;
import com.microsoft.durabletask.DurableTaskClient;
import com.microsoft.durabletask.DurableTaskGrpcClientBuilder;
import com.microsoft.durabletask.DurableTaskGrpcWorker;
import com.microsoft.durabletask.DurableTaskGrpcWorkerBuilder;
import com.microsoft.durabletask.FailureDetails;
import com.microsoft.durabletask.NewOrchestrationInstanceOptions;
import com.microsoft.durabletask.OrchestrationMetadata;
import com.microsoft.durabletask.OrchestrationRuntimeStatus;
import com.microsoft.durabletask.OrchestrationStatusQuery;
import com.microsoft.durabletask.OrchestrationStatusQueryResult;
import com.microsoft.durabletask.PurgeInstanceCriteria;
import com.microsoft.durabletask.RetryPolicy;
import com.microsoft.durabletask.Task;
import com.microsoft.durabletask.TaskActivity;
import com.microsoft.durabletask.TaskActivityFactory;
import com.microsoft.durabletask.TaskCanceledException;
import com.microsoft.durabletask.TaskFailedException;
import com.microsoft.durabletask.TaskOptions;
import com.microsoft.durabletask.TaskOrchestration;
import com.microsoft.durabletask.TaskOrchestrationContext;
import com.microsoft.durabletask.TaskOrchestrationFactory;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import suite.Activities;
import suite.App;
import suite.Flow;
import suite.Interpreter;
import suite.Loop;

/** The adapter for com.microsoft:durabletask-client. */
public final class Driver implements App {
    private final String name;
    private final int port;
    private final DurableTaskClient client;
    private DurableTaskGrpcWorker worker;

    private Driver(String name, int port, Map<String, Object> options) {
        this.name = name;
        this.port = port;
        this.client = new DurableTaskGrpcClientBuilder().port(port).build();
        if (options != null) {
            startWorker(options);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Loop.run((name, host, port, options) -> new Driver(name, port, options));
    }

    private void startWorker(Map<String, Object> options) {
        DurableTaskGrpcWorkerBuilder builder = new DurableTaskGrpcWorkerBuilder().port(port);
        builder.addOrchestration(workflow("run", null));
        for (Object extra : list(options.get("workflows"))) {
            Map<String, Object> one = map(extra);
            builder.addOrchestration(workflow((String) one.get("name"), one.get("program")));
        }
        Activities.ALL.forEach((activity, body) -> builder.addActivity(factory(activity, body)));
        worker = builder.build();
        worker.start();
    }

    private TaskOrchestrationFactory workflow(String workflow, Object program) {
        return new TaskOrchestrationFactory() {
            @Override
            public String getName() {
                return workflow;
            }

            @Override
            public TaskOrchestration create() {
                return context -> {
                    Map<String, Object> start = program == null
                            ? map(context.getInput(Object.class))
                            : Map.of("program", program, "vars", variable(context.getInput(Object.class)));
                    context.complete(Interpreter.run(new Context(context), start));
                };
            }
        };
    }

    private static Map<String, Object> variable(Object input) {
        Map<String, Object> variables = new LinkedHashMap<>();
        variables.put("input", input);
        return variables;
    }

    private TaskActivityFactory factory(String activity, Activities.Activity body) {
        return new TaskActivityFactory() {
            @Override
            public String getName() {
                return activity;
            }

            @Override
            public TaskActivity create() {
                return context -> {
                    try {
                        return body.run(new Activities.Call(name, null), context.getInput(Object.class));
                    } catch (InterruptedException error) {
                        throw new IllegalStateException(error);
                    }
                };
            }
        };
    }

    @Override
    public Object command(String op, Map<String, Object> with) throws Exception {
        String instance = (String) with.get("instance");
        boolean payloads = !Boolean.FALSE.equals(with.get("payloads"));
        switch (op) {
            case "start_worker" -> startWorker(map(with.get("options")));
            case "stop_worker" -> stopWorker();
            case "close" -> {
                stopWorker();
                client.close();
            }
            case "start" -> {
                return start(with);
            }
            case "get" -> {
                return state(client.getInstanceMetadata(instance, payloads));
            }
            case "wait_start" -> {
                return state(client.waitForInstanceStart(instance, wait(with), true));
            }
            case "wait_done" -> {
                return state(client.waitForInstanceCompletion(instance, wait(with), true));
            }
            case "raise_event" -> client.raiseEvent(instance, (String) with.get("name"), with.get("value"));
            case "suspend" -> client.suspendInstance(instance);
            case "resume" -> client.resumeInstance(instance);
            case "terminate" -> client.terminate(instance, with.get("output"));
            case "purge" -> {
                return client.purgeInstance(instance).getDeletedInstanceCount();
            }
            case "purge_where" -> {
                PurgeInstanceCriteria criteria = new PurgeInstanceCriteria()
                        // The SDK fails without a beginning.
                        .setCreatedTimeFrom(instant(with.getOrDefault("from_ms", 0L)))
                        .setCreatedTimeTo(instant(with.get("to_ms")))
                        .setRuntimeStatusList(statuses(with.get("statuses")));
                return client.purgeInstances(criteria).getDeletedInstanceCount();
            }
            case "query" -> {
                return query(with);
            }
            case "restart" -> {
                return client.restartInstance(instance, Boolean.TRUE.equals(with.get("new_id")));
            }
            default -> throw new UnsupportedOperationException(op);
        }
        return null;
    }

    private void stopWorker() {
        if (worker != null) {
            worker.close();
            worker = null;
        }
    }

    private String start(Map<String, Object> with) {
        NewOrchestrationInstanceOptions options = new NewOrchestrationInstanceOptions()
                .setInput(with.get("input"))
                .setInstanceId((String) with.get("instance"))
                .setStartTime(instant(with.get("at_ms")));
        String workflow = (String) with.getOrDefault("workflow", "run");
        return client.scheduleNewOrchestrationInstance(workflow, options);
    }

    private List<Object> query(Map<String, Object> with) {
        OrchestrationStatusQuery query = new OrchestrationStatusQuery()
                .setRuntimeStatusList(statuses(with.get("statuses")))
                .setCreatedTimeFrom(instant(with.get("from_ms")))
                .setCreatedTimeTo(instant(with.get("to_ms")))
                .setInstanceIdPrefix((String) with.get("prefix"))
                .setFetchInputsAndOutputs(Boolean.TRUE.equals(with.get("payloads")));
        if (with.get("page_size") != null) {
            query.setMaxInstanceCount((Integer) with.get("page_size"));
        }
        List<Object> found = new ArrayList<>();
        String token;
        do {
            OrchestrationStatusQueryResult page = client.queryInstances(query);
            page.getOrchestrationState().forEach(one -> found.add(state(one)));
            token = page.getContinuationToken();
            query.setContinuationToken(token);
        } while (token != null && !token.isEmpty());
        return found;
    }

    private static Duration wait(Map<String, Object> with) {
        return Duration.ofMillis(((Number) with.getOrDefault("timeout_ms", 30_000)).longValue());
    }

    private static Instant instant(Object ms) {
        return ms == null ? null : Instant.ofEpochMilli(((Number) ms).longValue());
    }

    private static List<OrchestrationRuntimeStatus> statuses(Object names) {
        List<OrchestrationRuntimeStatus> found = new ArrayList<>();
        list(names).forEach(one -> found.add(OrchestrationRuntimeStatus.valueOf((String) one)));
        return found;
    }

    private static Map<String, Object> state(OrchestrationMetadata metadata) {
        if (metadata == null || !metadata.isInstanceFound()) {
            return null;
        }
        Map<String, Object> state = new LinkedHashMap<>();
        state.put("id", metadata.getInstanceId());
        state.put("name", metadata.getName());
        state.put("status", metadata.getRuntimeStatus().name());
        state.put("created", metadata.getCreatedAt().toEpochMilli());
        state.put("updated", metadata.getLastUpdatedAt().toEpochMilli());
        state.put("input", metadata.getSerializedInput());
        state.put("output", metadata.getSerializedOutput());
        boolean set = metadata.isCustomStatusFetched();
        state.put("custom_status", set ? Loop.json(metadata.readCustomStatusAs(Object.class)) : null);
        FailureDetails failure = metadata.getFailureDetails();
        boolean failed = metadata.getRuntimeStatus() == OrchestrationRuntimeStatus.FAILED;
        state.put("failure", failed && failure != null ? failure(failure) : null);
        return state;
    }

    private static Map<String, Object> failure(FailureDetails details) {
        Map<String, Object> failure = new LinkedHashMap<>();
        failure.put("type", details.getErrorType());
        failure.put("message", details.getErrorMessage());
        failure.put("stack", details.getStackTrace());
        return failure;
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static List<Object> list(Object value) {
        return value == null ? List.of() : (List<Object>) value;
    }

    /** The interpreter's view of the SDK's context. */
    private record Context(TaskOrchestrationContext context) implements Flow {
        @Override
        public Object activity(Map<String, Object> what) {
            return context.callActivity(
                    (String) what.get("name"), what.get("input"), options(what), Object.class);
        }

        @Override
        public Object child(Map<String, Object> what) {
            return context.callSubOrchestrator(
                    (String) what.get("name"),
                    what.get("input"),
                    (String) what.get("id"),
                    options(what),
                    Object.class);
        }

        private static TaskOptions options(Map<String, Object> what) {
            if (what.get("retry") == null) {
                return null;
            }
            Map<String, Object> retry = map(what.get("retry"));
            RetryPolicy policy =
                    new RetryPolicy((Integer) retry.get("attempts"), millis(retry.get("first_ms")));
            if (retry.containsKey("backoff")) {
                policy.setBackoffCoefficient(((Number) retry.get("backoff")).doubleValue());
            }
            if (retry.containsKey("max_ms")) {
                policy.setMaxRetryInterval(millis(retry.get("max_ms")));
            }
            if (retry.containsKey("timeout_ms")) {
                policy.setRetryTimeout(millis(retry.get("timeout_ms")));
            }
            return new TaskOptions(policy);
        }

        private static Duration millis(Object value) {
            return Duration.ofMillis(((Number) value).longValue());
        }

        @Override
        public Object timer(Map<String, Object> what) {
            if (what.get("at") == null) {
                return context.createTimer(millis(what.get("ms")));
            }
            Instant when = context.getCurrentInstant().plus(millis(what.get("at")));
            return context.createTimer(when.atZone(ZoneOffset.UTC));
        }

        @Override
        public Object event(Map<String, Object> what) {
            String name = (String) what.get("name");
            return what.get("timeout_ms") == null
                    ? context.waitForExternalEvent(name, Object.class)
                    : context.waitForExternalEvent(name, millis(what.get("timeout_ms")), Object.class);
        }

        @Override
        public Object await(Object task) {
            return ((Task<?>) task).await();
        }

        @Override
        @SuppressWarnings("unchecked")
        public Object awaitAll(List<Object> tasks) {
            List<Task<Object>> all = new ArrayList<>();
            tasks.forEach(one -> all.add((Task<Object>) one));
            return context.allOf(all).await();
        }

        @Override
        public Object awaitAny(List<Object> tasks) {
            List<Task<?>> all = new ArrayList<>();
            tasks.forEach(one -> all.add((Task<?>) one));
            return context.anyOf(all).await();
        }

        @Override
        public void status(Object value) {
            context.setCustomStatus(value);
        }

        @Override
        public void again(Object value, boolean keepEvents) {
            context.continueAsNew(value, keepEvents);
        }

        @Override
        public void send(String target, String name, Object value) {
            context.sendEvent(target, name, value);
        }

        @Override
        public String uuid() {
            return context.newUUID().toString();
        }

        @Override
        public long nowMs() {
            return context.getCurrentInstant().toEpochMilli();
        }

        @Override
        public Map<String, Object> info() {
            return Map.of("id", context.getInstanceId());
        }

        @Override
        public boolean patched(String name) {
            throw new UnsupportedOperationException("patches");
        }

        @Override
        public String instance() {
            return context.getInstanceId();
        }

        @Override
        public boolean replaying() {
            return context.getIsReplaying();
        }

        @Override
        public Map<String, Object> failureOf(RuntimeException error) {
            if (error instanceof TaskFailedException failed) {
                return failure(failed.getErrorDetails());
            }
            if (error instanceof CompositeTaskFailedException several) {
                return failureOf((RuntimeException) several.getExceptions().get(0));
            }
            if (error instanceof TaskCanceledException) {
                return Map.of("type", "TimeoutError", "message", String.valueOf(error.getMessage()));
            }
            return null;
        }
    }
}
