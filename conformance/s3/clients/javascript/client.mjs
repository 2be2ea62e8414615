// The adapter of AWS's SDK for JavaScript 3.
import { createReadStream, createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pipeline } from "node:stream/promises";
import {
  CopyObjectCommand, DeleteObjectCommand, GetObjectCommand, PutObjectCommand, S3Client, paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const s3 = new S3Client({ endpoint: process.env.AWS_ENDPOINT_URL, region: "us-east-1", forcePathStyle: true });
const conditional = async (input) => {
  try {
    await s3.send(new PutObjectCommand(input));
    return true;
  } catch (error) {
    if (error.name === "PreconditionFailed") return false;
    throw error;
  }
};
const client = {
  put: async ({ bucket, key, file }) => {
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: await readFile(file) }));
  },
  big: async ({ bucket, key, file }) => {
    const params = { Bucket: bucket, Key: key, Body: createReadStream(file) };
    await new Upload({ client: s3, partSize: 8 << 20, params }).done();
  },
  get: async ({ bucket, key, file, range }) => {
    const got = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: range }));
    await pipeline(got.Body, createWriteStream(file));
  },
  range: ({ bucket, key, file, first, last }) => client.get({ bucket, key, file, range: `bytes=${first}-${last}` }),
  list: async ({ bucket, prefix }) => {
    const keys = [];
    for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: bucket, Prefix: prefix })) {
      keys.push(...(page.Contents ?? []).map((one) => one.Key));
    }
    return keys;
  },
  delete: async ({ bucket, key }) => {
    await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
  },
  copy: async ({ bucket, key, to }) => {
    const CopySource = `${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;
    await s3.send(new CopyObjectCommand({ Bucket: bucket, Key: to, CopySource }));
  },
  create: async ({ bucket, key, file }) =>
    conditional({ Bucket: bucket, Key: key, Body: await readFile(file), IfNoneMatch: "*" }),
  replace: async ({ bucket, key, file, etag }) =>
    conditional({ Bucket: bucket, Key: key, Body: await readFile(file), IfMatch: etag }),
};

const version = createRequire(import.meta.url)("@aws-sdk/client-s3/package.json").version;
console.log(JSON.stringify({ version, cannot: {} }));
for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...what } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ ok: (await client[name](what)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: `${error.name}: ${error.message}` }));
  }
}
