package suite;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * The Java interpreter of the suite's workflow programs (the language: program.py above). It is the
 * body of a workflow: it calls the SDK's own methods through {@link Flow} and blocks as they do.
 */
public final class Interpreter {
    private record Ended(Object value) {}

    private final Flow flow;
    private final Object program;
    private final Map<String, Object> variables;
    private final Map<String, Object> tasks = new HashMap<>();

    private Interpreter(Flow flow, Map<String, Object> start) {
        this.flow = flow;
        this.program = start.get("program");
        Map<String, Object> given = map(start.get("vars"));
        this.variables = new HashMap<>(given == null ? Map.of() : given);
    }

    /** Walk over the program of {@code start}; the result is the workflow's output. */
    public static Object run(Flow flow, Map<String, Object> start) {
        Interpreter interpreter = new Interpreter(flow, start);
        Ended ended = interpreter.block(steps(start.get("program")));
        return ended == null ? null : ended.value();
    }

    private Ended block(List<Map<String, Object>> steps) {
        for (Map<String, Object> step : steps) {
            String op = (String) step.get("op");
            String into = (String) step.get("as");
            Object result = null;
            switch (op) {
                case "task" -> {
                    Object made = started(map(valueOf(step.get("what"))));
                    if (step.get("push") == null) {
                        tasks.put(into, made);
                    } else {
                        list(tasks.computeIfAbsent((String) step.get("push"), key -> new ArrayList<>()))
                                .add(made);
                    }
                    continue;
                }
                case "wait" -> result = flow.await(tasks.get((String) step.get("task")));
                case "all" -> result = flow.awaitAll(named(step.get("tasks")));
                case "any" -> {
                    List<Object> group = named(step.get("tasks"));
                    result = group.indexOf(flow.awaitAny(group));
                }
                case "set" -> result = valueOf(step.get("value"));
                case "append" -> {
                    List<Object> longer = new ArrayList<>();
                    if (variables.get(into) != null) {
                        longer.addAll(list(variables.get(into)));
                    }
                    longer.add(valueOf(step.get("value")));
                    result = longer;
                }
                case "if", "loop", "try" -> {
                    Ended ended = nested(op, step);
                    if (ended != null) {
                        return ended;
                    }
                }
                case "return" -> {
                    return new Ended(valueOf(step.get("value")));
                }
                case "fail" -> throw new ScenarioError(String.valueOf(valueOf(step.get("message"))));
                case "again" -> {
                    Map<String, Object> fresh = new LinkedHashMap<>();
                    fresh.put("program", program);
                    fresh.put("vars", valueOf(step.get("vars")));
                    flow.again(fresh, Boolean.TRUE.equals(step.get("keep_events")));
                    return new Ended(null);
                }
                case "send" -> {
                    String target = (String) valueOf(step.get("to"));
                    flow.send(target, (String) step.get("name"), valueOf(step.get("value")));
                }
                case "status" -> flow.status(valueOf(step.get("value")));
                case "trace" -> {
                    List<Object> noted = new ArrayList<>();
                    noted.add(valueOf(step.get("value")));
                    noted.add(flow.replaying());
                    Memory.note(flow.instance(), noted);
                }
                case "patched" -> result = flow.patched((String) step.get("name"));
                case "uuid" -> result = flow.uuid();
                case "info" -> result = flow.info();
                case "now" -> result = flow.nowMs();
                default -> throw new IllegalArgumentException("no such step: " + op);
            }
            if (into != null) {
                variables.put(into, result);
            }
        }
        return null;
    }

    private Object started(Map<String, Object> what) {
        return switch ((String) what.get("kind")) {
            case "activity" -> flow.activity(what);
            case "child" -> flow.child(what);
            case "timer" -> flow.timer(what);
            case "event" -> flow.event(what);
            default -> throw new IllegalArgumentException("no such task: " + what.get("kind"));
        };
    }

    private Ended nested(String op, Map<String, Object> step) {
        if (op.equals("if")) {
            Object left = valueOf(step.get("left"));
            Object right = valueOf(step.get("right"));
            boolean holds = step.get("cmp").equals("==")
                    ? same(left, right)
                    : ((Number) left).doubleValue() < ((Number) right).doubleValue();
            return block(steps(step.get(holds ? "then" : "else")));
        }
        if (op.equals("loop")) {
            int count = ((Number) valueOf(step.get("count"))).intValue();
            for (int i = 0; i < count; i++) {
                variables.put("i", i);
                Ended ended = block(steps(step.get("body")));
                if (ended != null) {
                    return ended;
                }
            }
            return null;
        }
        try {
            return block(steps(step.get("body")));
        } catch (RuntimeException error) {
            Map<String, Object> failure = flow.failureOf(error);
            if (failure == null) {
                throw error;
            }
            variables.put("error", failure);
        }
        return block(steps(step.get("catch")));
    }

    private List<Object> named(Object names) {
        if (names instanceof String name) {
            return list(tasks.getOrDefault(name, List.of()));
        }
        List<Object> found = new ArrayList<>();
        for (Object name : list(names)) {
            found.add(tasks.get((String) name));
        }
        return found;
    }

    private Object valueOf(Object expression) {
        if (expression instanceof List<?> parts) {
            List<Object> values = new ArrayList<>();
            for (Object part : parts) {
                values.add(valueOf(part));
            }
            return values;
        }
        if (!(expression instanceof Map<?, ?>)) {
            return expression;
        }
        Map<String, Object> parts = map(expression);
        if (parts.containsKey("program")) {
            Map<String, Object> start = new LinkedHashMap<>(parts);
            start.put("vars", valueOf(parts.getOrDefault("vars", Map.of())));
            return start;
        }
        if (parts.containsKey("$var")) {
            return variables.get((String) parts.get("$var"));
        }
        if (parts.containsKey("$get")) {
            List<Object> path = list(valueOf(parts.get("$get")));
            Object found = path.get(0);
            for (Object key : path.subList(1, path.size())) {
                found = key instanceof String name ? map(found).get(name) : list(found).get((Integer) key);
            }
            return found;
        }
        if (parts.containsKey("$add")) {
            List<Object> both = list(valueOf(parts.get("$add")));
            if (both.get(0) instanceof Number left && both.get(1) instanceof Number right) {
                return left.longValue() + right.longValue();
            }
            return String.valueOf(both.get(0)) + both.get(1);
        }
        if (parts.containsKey("$len")) {
            Object measured = valueOf(parts.get("$len"));
            return measured instanceof String text ? text.length() : list(measured).size();
        }
        Map<String, Object> values = new LinkedHashMap<>();
        parts.forEach((key, part) -> values.put(key, valueOf(part)));
        return values;
    }

    private static boolean same(Object left, Object right) {
        if (left instanceof Number one && right instanceof Number other) {
            return one.doubleValue() == other.doubleValue();
        }
        return Objects.equals(left, right);
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    static List<Object> list(Object value) {
        return (List<Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> steps(Object value) {
        return (List<Map<String, Object>>) value;
    }
}
