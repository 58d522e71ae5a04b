package suite;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.grpc.StatusRuntimeException;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeoutException;

/**
 * Drives one Java SDK: worker and client in one process, commands in, answers out, as JSON lines
 * ({@code {"id", "op", …}} gives {@code {"id", "ok"}} or {@code {"id", "error": {code, message}}}).
 */
public final class Loop {
    private static final ObjectMapper JSON = new ObjectMapper();
    private final PrintStream out;
    private final App.Factory factory;
    private final Map<String, App> apps = new ConcurrentHashMap<>();

    private Loop(PrintStream out, App.Factory factory) {
        this.out = out;
        this.factory = factory;
    }

    /** Read commands until the pipe ends; every command has its own thread. */
    public static void run(App.Factory factory) throws Exception {
        Loop loop = new Loop(new PrintStream(System.out, true, StandardCharsets.UTF_8), factory);
        System.setOut(System.err); // nothing but answers goes to the pipe
        ExecutorService pool = Executors.newCachedThreadPool(work -> {
            Thread thread = new Thread(work);
            thread.setDaemon(true);
            return thread;
        });
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            Map<String, Object> command = JSON.readValue(line, new TypeReference<>() {});
            pool.submit(() -> loop.handle(command));
        }
        System.exit(0);
    }

    private void handle(Map<String, Object> command) {
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("id", command.remove("id"));
        try {
            answer.put("ok", perform((String) command.remove("op"), command));
        } catch (Throwable error) { // whatever it is, the scenario must see it
            answer.put("error", errorOf(error));
        }
        try {
            String line = JSON.writeValueAsString(answer);
            synchronized (out) {
                out.println(line);
            }
        } catch (Exception error) {
            error.printStackTrace();
        }
    }

    private Object perform(String op, Map<String, Object> arguments) throws Exception {
        switch (op) {
            case "count", "peak", "trace", "release" -> {
                return Memory.command(op, (String) arguments.get("key"));
            }
            default -> { }
        }
        String name = (String) arguments.remove("app");
        if (op.equals("open")) {
            int port = (Integer) arguments.get("port");
            Map<String, Object> worker = Interpreter.map(arguments.get("worker"));
            apps.put(name, factory.open(name, (String) arguments.get("host"), port, worker));
            return null;
        }
        App app = op.equals("close") ? apps.remove(name) : apps.get(name);
        return app.command(op, arguments);
    }

    private static Map<String, Object> errorOf(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof StatusRuntimeException rpc) {
                String text = rpc.getStatus().getDescription();
                return Map.of(
                        "code", rpc.getStatus().getCode().name(), "message", text == null ? "" : text);
            }
            if (cause instanceof TimeoutException) {
                return Map.of("code", "TIMEOUT", "message", String.valueOf(cause.getMessage()));
            }
        }
        String name = error.getClass().getSimpleName();
        return Map.of("code", name, "message", String.valueOf(error.getMessage()));
    }

    /** JSON text; null stays null. */
    public static String json(Object value) {
        try {
            return value == null ? null : JSON.writeValueAsString(value);
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }
}
