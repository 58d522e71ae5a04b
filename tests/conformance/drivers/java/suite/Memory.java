package suite;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;

/** What activities and programs leave behind, by key; one per driver process. */
final class Memory {
    private static final Map<String, Integer> COUNTS = new HashMap<>();
    private static final Map<String, Integer> RUNNING = new HashMap<>();
    private static final Map<String, Integer> PEAKS = new HashMap<>();
    private static final Map<String, List<Object>> TRACES = new HashMap<>();
    private static final Map<String, CountDownLatch> GATES = new HashMap<>();

    private Memory() {}

    static synchronized int count(String key) {
        return COUNTS.merge(key, 1, Integer::sum);
    }

    static synchronized void note(String key, Object value) {
        TRACES.computeIfAbsent(key, unused -> new ArrayList<>()).add(value);
    }

    static synchronized CountDownLatch gate(String key) {
        return GATES.computeIfAbsent(key, unused -> new CountDownLatch(1));
    }

    static synchronized void enter(String key) {
        int now = RUNNING.merge(key, 1, Integer::sum);
        PEAKS.merge(key, now, Math::max);
    }

    static synchronized void leave(String key) {
        RUNNING.merge(key, -1, Integer::sum);
    }

    /** The answer to a command about the memory. */
    static synchronized Object command(String op, String key) {
        return switch (op) {
            case "count" -> COUNTS.getOrDefault(key, 0);
            case "peak" -> PEAKS.getOrDefault(key, 0);
            case "trace" -> new ArrayList<>(TRACES.getOrDefault(key, List.of()));
            default -> {
                gate(key).countDown();
                yield null;
            }
        };
    }
}
