// Runs the test packages of the Eclipse Dataspace TCK and prints one line of JSON a test. The main
// class of the kit's own suite is not published.
//
//     java -cp "lib/*" Run.java PROPERTIES
//
// Exit code 0: every test that is not disabled has passed, and there was at least one.

import java.io.FileReader;
import java.util.Properties;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.discovery.ClassNameFilter;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

public class Run implements TestExecutionListener {
    private int passed;
    private int failed;
    private long started;

    public static void main(String[] arguments) throws Exception {
        var settings = new Properties();
        try (var file = new FileReader(arguments[0])) {
            settings.load(file);
        }
        settings.forEach((name, value) -> System.setProperty((String) name, (String) value));
        var tests = LauncherDiscoveryRequestBuilder.request()
                .selectors(DiscoverySelectors.selectPackage("org.eclipse.dataspacetck.dsp.verification"))
                .filters(ClassNameFilter.includeClassNamePatterns(".*Test"))
                .build();
        var run = new Run();
        LauncherFactory.create().execute(tests, run);
        System.exit(run.failed == 0 && run.passed > 0 ? 0 : 1);
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        started = System.currentTimeMillis();
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        if (test.isTest()) {
            print(test, "disabled", reason);
        }
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        var why = result.getThrowable().map(String::valueOf).orElse("");
        if (!test.isTest() && why.isEmpty()) {
            return;
        }
        var good = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
        passed += good ? 1 : 0;
        failed += good ? 0 : 1;
        print(test, good ? "passed" : "failed", why);
    }

    private void print(TestIdentifier test, String result, String why) {
        System.out.printf("{\"test\":\"%s\",\"result\":\"%s\",\"ms\":%d,\"why\":\"%s\"}%n",
                plain(test.getDisplayName()), result, System.currentTimeMillis() - started, plain(why));
    }

    private static String plain(String text) {
        return text.replaceAll("[\\\\\"\\p{Cntrl}]", " ");
    }
}
