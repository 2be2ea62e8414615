#!/usr/bin/env bash
# Iceberg 1.10.0's S3FileIO sends `x-amz-checksum-crc32: AAAAAA==` (the sum of no bytes) and `x-amz-te: append-md5` with GetObject: its
# AWS SDK's LegacyMd5Plugin adds what DeleteObjects needs to every request. A server that refuses headers that GetObject does not have
# cannot be read by Spark, Flink or Trino over this class.
# Guess before the run: a checksum comes with what has a body.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
for jar in org.apache.iceberg:iceberg-spark-runtime-3.5_2.12:1.10.0 org.apache.iceberg:iceberg-aws-bundle:1.10.0 org.slf4j:slf4j-api:2.0.17; do
  mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -Dartifact="$jar" -DoutputDirectory=. -Dmdep.useBaseVersion=true
done
cat > Read.java <<'JAVA'
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.iceberg.aws.s3.S3FileIO;

public class Read {
  public static void main(String[] arguments) throws Exception {
    AtomicReference<String> seen = new AtomicReference<>("");
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", exchange -> {
      var headers = exchange.getRequestHeaders();
      seen.set(exchange.getRequestMethod() + " checksum=" + headers.getFirst("x-amz-checksum-crc32") + " te=" + headers.getFirst("x-amz-te"));
      exchange.sendResponseHeaders(404, -1);
      exchange.close();
    });
    server.start();
    S3FileIO io = new S3FileIO();
    io.initialize(Map.of("s3.endpoint", "http://127.0.0.1:" + server.getAddress().getPort(), "s3.path-style-access", "true",
        "s3.access-key-id", "a", "s3.secret-access-key", "b", "client.region", "us-east-1"));
    try (var stream = io.newInputFile("s3://bucket/key", 100).newStream()) {
      stream.read();
    } catch (Exception expected) {
      // There is no such object.
    }
    System.out.println(seen.get());
    System.exit(0);
  }
}
JAVA
seen=$(java -cp "$(printf '%s:' ./*.jar)" Read.java 2>/dev/null | tail -1)
echo "S3FileIO of Iceberg 1.10.0: $seen"
[ "$seen" = "GET checksum=AAAAAA== te=append-md5" ]
