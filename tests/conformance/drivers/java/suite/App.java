package suite;

import java.util.Map;

/** One open app of an SDK: a client and, unless told otherwise, a worker. */
public interface App {
    /** Do one command; its arguments are those of the Python side's {@code App}. */
    Object command(String op, Map<String, Object> arguments) throws Exception;

    /** Makes apps. */
    interface Factory {
        App open(String name, String host, int port, Map<String, Object> worker) throws Exception;
    }
}
