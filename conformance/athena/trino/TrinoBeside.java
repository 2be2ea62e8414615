import io.trino.Session;
import io.trino.plugin.hive.HivePlugin;
import io.trino.plugin.iceberg.IcebergPlugin;
import io.trino.plugin.tpch.TpchPlugin;
import io.trino.testing.DistributedQueryRunner;
import io.trino.testing.TestingSession;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * A Trino with a coordinator and two workers, whose Hive and Iceberg connectors have their catalog and files at an endpoint of AWS's
 * protocols: ENDPOINT ACCESS SECRET. Catalog `rest` has it at Iceberg's REST catalog there.
 */
public class TrinoBeside {
    public static void main(String[] arguments) throws Exception {
        // Trino's logging takes over System.out.
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        Session session = TestingSession.testSessionBuilder().setCatalog("awsdatacatalog").setSchema("default").build();
        DistributedQueryRunner runner = DistributedQueryRunner.builder(session).setWorkerCount(2).build();
        runner.installPlugin(new TpchPlugin());
        runner.createCatalog("tpch", "tpch", Map.of());
        runner.installPlugin(new HivePlugin());
        runner.installPlugin(new IcebergPlugin());
        Map<String, String> files = new HashMap<>();
        files.put("fs.native-s3.enabled", "true");
        files.put("s3.endpoint", arguments[0]);
        files.put("s3.region", "us-east-1");
        files.put("s3.path-style-access", "true");
        files.put("s3.aws-access-key", arguments[1]);
        files.put("s3.aws-secret-key", arguments[2]);
        Map<String, String> glue = new HashMap<>(files);
        glue.put("hive.metastore.glue.endpoint-url", arguments[0]);
        glue.put("hive.metastore.glue.region", "us-east-1");
        glue.put("hive.metastore.glue.aws-access-key", arguments[1]);
        glue.put("hive.metastore.glue.aws-secret-key", arguments[2]);
        Map<String, String> iceberg = new HashMap<>(glue);
        iceberg.put("iceberg.catalog.type", "glue");
        runner.createCatalog("awsdatacatalog_iceberg", "iceberg", iceberg);
        Map<String, String> rest = new HashMap<>(files);
        rest.put("iceberg.catalog.type", "rest");
        rest.put("iceberg.rest-catalog.uri", arguments[0] + "/iceberg");
        rest.put("iceberg.rest-catalog.security", "OAUTH2");
        rest.put("iceberg.rest-catalog.oauth2.credential", arguments[1] + ":" + arguments[2]);
        runner.createCatalog("rest", "iceberg", rest);
        Map<String, String> hive = new HashMap<>(glue);
        hive.put("hive.metastore", "glue");
        hive.put("hive.security", "read-only");
        hive.put("hive.iceberg-catalog-name", "awsdatacatalog_iceberg");
        runner.createCatalog("awsdatacatalog", "hive", hive);
        out.println(runner.getCoordinator().getBaseUrl());
        // Until nobody listens any more.
        System.in.read();
        System.exit(0);
    }
}
