package suite;

import java.util.List;
import java.util.Map;

/**
 * A workflow's context, the same for every SDK. Tasks are opaque; {@link #await} blocks in the way
 * that the SDK's replay needs.
 */
public interface Flow {
    Object activity(Map<String, Object> what);

    Object child(Map<String, Object> what);

    Object timer(Map<String, Object> what);

    Object event(Map<String, Object> what);

    /** The result of a task; throws what a failed task throws. */
    Object await(Object task);

    /** The results of all tasks, in their order. */
    Object awaitAll(List<Object> tasks);

    /** The task that ended first. */
    Object awaitAny(List<Object> tasks);

    void status(Object value);

    void again(Object value, boolean keepEvents);

    void send(String target, String name, Object value);

    String uuid();

    long nowMs();

    Map<String, Object> info();

    boolean patched(String name);

    String instance();

    boolean replaying();

    /** The failure that an exception of a task carries: type and message; null for any other. */
    Map<String, Object> failureOf(RuntimeException error);
}
