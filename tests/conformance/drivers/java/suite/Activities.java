package suite;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** The activities that programs call. */
public final class Activities {
    /** One execution: the worker's name and, where the SDK shows it, the execution's id. */
    public record Call(String worker, String execution) {}

    /** An activity. */
    public interface Activity {
        Object run(Call call, Object value) throws InterruptedException;
    }

    /** All activities, by name. */
    public static final Map<String, Activity> ALL = new LinkedHashMap<>();

    static {
        ALL.put("echo", (call, value) -> value);
        ALL.put("nothing", (call, value) -> null);
        ALL.put("blob", (call, value) -> "x".repeat(((Number) value).intValue()));
        ALL.put("count", (call, value) -> Memory.count((String) value));
        ALL.put("boom", (call, value) -> {
            throw new ScenarioError((String) value);
        });
        ALL.put("boom_chained", (call, value) -> {
            throw new ScenarioError((String) value, new IllegalStateException("the cause"));
        });
        ALL.put("flaky", (call, value) -> flaky(Interpreter.map(value)));
        ALL.put("gate", (call, value) -> gate(call, (String) value));
        ALL.put("who", (call, value) -> call.worker());
        ALL.put("seen", (call, value) -> {
            Map<String, Object> about = Interpreter.map(value);
            Memory.note((String) about.get("key"), call.execution());
            return flaky(about);
        });
    }

    private Activities() {}

    private static int flaky(Map<String, Object> about) {
        int attempt = Memory.count((String) about.get("key"));
        if (attempt <= ((Number) about.get("failures")).intValue()) {
            throw new ScenarioError("attempt " + attempt);
        }
        return attempt;
    }

    private static Object gate(Call call, String key) throws InterruptedException {
        Memory.count(key);
        Memory.enter(key);
        try {
            if (!Memory.gate(key).await(60, TimeUnit.SECONDS)) {
                throw new ScenarioError("gate " + key + " was never opened");
            }
        } finally {
            Memory.leave(key);
        }
        return call.worker();
    }
}
