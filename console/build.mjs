// Bundles src/ into dist/, which is committed and embedded in the server: users need no node.
import { build } from "esbuild";
import { copyFileSync } from "node:fs";

await build({
  entryPoints: { app: "src/main.tsx" },
  bundle: true, minify: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "none",
  jsx: "automatic", jsxImportSource: "preact", outdir: "dist",
});
copyFileSync("src/index.html", "dist/index.html");
