package suite;

/** What a program or activity throws when it is told to fail. */
public final class ScenarioError extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public ScenarioError(String message) {
        super(message);
    }

    public ScenarioError(String message, Throwable cause) {
        super(message, cause);
    }
}
