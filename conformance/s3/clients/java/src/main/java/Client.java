import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.FileNotFoundException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import software.amazon.awssdk.core.ResponseInputStream;
import software.amazon.awssdk.core.async.AsyncRequestBody;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3AsyncClient;
import software.amazon.awssdk.services.s3.S3Client;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.S3Exception;
import software.amazon.awssdk.services.s3.model.S3Object;

/** The adapters of AWS's SDK for Java 2 and of Hadoop's S3A. */
public final class Client {
    interface Adapter {
        Object run(String what, String bucket, String key, Path file, JsonNode more) throws Exception;
    }

    static final URI ENDPOINT = URI.create(System.getenv("AWS_ENDPOINT_URL"));

    static final class Sdk implements Adapter {
        final S3Client s3 =
            S3Client.builder().endpointOverride(ENDPOINT).region(Region.US_EAST_1).forcePathStyle(true).build();
        final S3AsyncClient parts = S3AsyncClient.builder().endpointOverride(ENDPOINT).region(Region.US_EAST_1)
            .forcePathStyle(true).multipartEnabled(true).multipartConfiguration(m -> m.minimumPartSizeInBytes(8L << 20))
            .build();

        boolean conditional(PutObjectRequest.Builder request, Path file) {
            try {
                s3.putObject(request.build(), RequestBody.fromFile(file));
                return true;
            } catch (S3Exception error) {
                if (error.awsErrorDetails().errorCode().equals("PreconditionFailed")) {
                    return false;
                }
                throw error;
            }
        }

        Object get(String bucket, String key, Path file, String range) throws Exception {
            try (ResponseInputStream<GetObjectResponse> got = s3.getObject(r -> r.bucket(bucket).key(key).range(range))) {
                Files.copy(got, file, StandardCopyOption.REPLACE_EXISTING);
            }
            return null;
        }

        @Override
        public Object run(String what, String bucket, String key, Path file, JsonNode more) throws Exception {
            PutObjectRequest.Builder put = PutObjectRequest.builder().bucket(bucket).key(key);
            switch (what) {
                case "put":
                    s3.putObject(put.build(), RequestBody.fromFile(file));
                    return null;
                case "big":
                    parts.putObject(put.build(), AsyncRequestBody.fromFile(file)).join();
                    return null;
                case "get":
                    return get(bucket, key, file, null);
                case "range":
                    return get(bucket, key, file, "bytes=" + more.get("first").asText() + "-" + more.get("last").asText());
                case "list":
                    return s3.listObjectsV2Paginator(r -> r.bucket(bucket).prefix(more.get("prefix").asText())).contents()
                        .stream().map(S3Object::key).toList();
                case "delete":
                    s3.deleteObject(r -> r.bucket(bucket).key(key));
                    return null;
                case "copy":
                    s3.copyObject(r -> r.sourceBucket(bucket).sourceKey(key).destinationBucket(bucket)
                        .destinationKey(more.get("to").asText()));
                    return null;
                case "create":
                    return conditional(put.ifNoneMatch("*"), file);
                case "replace":
                    return conditional(put.ifMatch(more.get("etag").asText()), file);
                default:
                    throw new IllegalArgumentException(what + " is not done");
            }
        }
    }

    static final class Hadoop implements Adapter {
        final Configuration settings = new Configuration();

        Hadoop() {
            settings.set("fs.s3a.endpoint", ENDPOINT.toString());
            settings.set("fs.s3a.endpoint.region", "us-east-1");
            settings.set("fs.s3a.path.style.access", "true");
            settings.set("fs.s3a.access.key", System.getenv("AWS_ACCESS_KEY_ID"));
            settings.set("fs.s3a.secret.key", System.getenv("AWS_SECRET_ACCESS_KEY"));
            settings.set("fs.s3a.multipart.size", "8M");
            settings.set("fs.s3a.change.detection.mode", "server");
        }

        static org.apache.hadoop.fs.Path path(String bucket, String key) {
            return new org.apache.hadoop.fs.Path("s3a", bucket, "/" + key);
        }

        static void walk(FileSystem fs, org.apache.hadoop.fs.Path at, List<String> keys) throws Exception {
            var found = fs.listFiles(at, true);
            while (found.hasNext()) {
                keys.add(found.next().getPath().toUri().getPath().substring(1));
            }
        }

        @Override
        public Object run(String what, String bucket, String key, Path file, JsonNode more) throws Exception {
            FileSystem fs = FileSystem.get(URI.create("s3a://" + bucket), settings);
            switch (what) {
                case "put":
                case "big":
                    try (InputStream in = Files.newInputStream(file); OutputStream out = fs.create(path(bucket, key), true)) {
                        in.transferTo(out);
                    }
                    return null;
                case "get":
                    try (FSDataInputStream in = fs.open(path(bucket, key))) {
                        Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
                    }
                    return null;
                case "range":
                    byte[] bytes = new byte[more.get("last").asInt() - more.get("first").asInt() + 1];
                    try (FSDataInputStream in = fs.open(path(bucket, key))) {
                        in.readFully(more.get("first").asLong(), bytes);
                    }
                    Files.write(file, bytes);
                    return null;
                case "list":
                    List<String> keys = new ArrayList<>();
                    try {
                        walk(fs, path(bucket, more.get("prefix").asText()), keys);
                    } catch (FileNotFoundException nothing) {
                        return keys;
                    }
                    Collections.sort(keys);
                    return keys;
                case "delete":
                    fs.delete(path(bucket, key), false);
                    // It keeps the folder of a file with an object of its own, which goes with the folder.
                    if (key.contains("/")) {
                        fs.delete(path(bucket, key.split("/")[0]), true);
                    }
                    return null;
                case "copy":
                    return FileUtil.copy(fs, path(bucket, key), fs, path(bucket, more.get("to").asText()), false, settings);
                case "create":
                    // With one request to S3 that has the condition.
                    try (InputStream in = Files.newInputStream(file);
                        OutputStream out = (OutputStream) fs.createFile(path(bucket, key)).overwrite(false)
                            .opt("fs.s3a.create.conditional.overwrite", true).build()) {
                        in.transferTo(out);
                    } catch (FileAlreadyExistsException exists) {
                        return false;
                    }
                    return true;
                default:
                    throw new IllegalArgumentException(what + " is not done");
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        boolean sdk = arguments[0].equals("sdk");
        Adapter adapter = sdk ? new Sdk() : new Hadoop();
        String version = sdk ? software.amazon.awssdk.core.util.VersionInfo.SDK_VERSION
            : org.apache.hadoop.util.VersionInfo.getVersion();
        Map<String, String> cannot = sdk ? Map.of() : Map.of("double slash", "its paths have no empty part",
            "replace", "it writes over whatever is there, or where nothing is");
        out.println(json.writeValueAsString(Map.of("version", version, "cannot", cannot)));
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode what = json.readTree(line);
            try {
                String file = what.path("file").asText();
                Object done = adapter.run(what.get("do").asText(), what.get("bucket").asText(), what.path("key").asText(),
                    file.isEmpty() ? null : Path.of(file), what);
                out.println(json.writeValueAsString(Collections.singletonMap("ok", done)));
            } catch (Exception error) {
                out.println(json.writeValueAsString(Map.of("error", error.toString())));
            }
        }
        System.exit(0);
    }
}
