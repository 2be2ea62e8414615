import io.trino.Session;
import io.trino.plugin.hive.HivePlugin;
import io.trino.plugin.tpch.TpchPlugin;
import io.trino.testing.DistributedQueryRunner;
import io.trino.testing.TestingSession;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** A Trino with a coordinator and two workers, whose Hive connector has its catalog and its files at an endpoint of AWS's protocols: ENDPOINT ACCESS SECRET. */
public class TrinoBeside {
    public static void main(String[] arguments) throws Exception {
        // Trino's logging takes over System.out.
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        Session session = TestingSession.testSessionBuilder().setCatalog("awsdatacatalog").setSchema("default").build();
        DistributedQueryRunner runner = DistributedQueryRunner.builder(session).setWorkerCount(2).build();
        runner.installPlugin(new TpchPlugin());
        runner.createCatalog("tpch", "tpch", Map.of());
        runner.installPlugin(new HivePlugin());
        Map<String, String> hive = new HashMap<>();
        hive.put("hive.metastore", "glue");
        hive.put("hive.metastore.glue.endpoint-url", arguments[0]);
        hive.put("hive.metastore.glue.region", "us-east-1");
        hive.put("hive.metastore.glue.aws-access-key", arguments[1]);
        hive.put("hive.metastore.glue.aws-secret-key", arguments[2]);
        hive.put("fs.native-s3.enabled", "true");
        hive.put("s3.endpoint", arguments[0]);
        hive.put("s3.region", "us-east-1");
        hive.put("s3.path-style-access", "true");
        hive.put("s3.aws-access-key", arguments[1]);
        hive.put("s3.aws-secret-key", arguments[2]);
        hive.put("hive.security", "read-only");
        runner.createCatalog("awsdatacatalog", "hive", hive);
        out.println(runner.getCoordinator().getBaseUrl());
        // Until nobody listens any more.
        System.in.read();
        System.exit(0);
    }
}
