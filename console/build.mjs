// Bundles src/ into dist/, which is committed and embedded in the server: users need no node. The first page and what it shares
// with the others is one file; every other page is one of its own, fetched when it is first shown.
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
await build({
  entryPoints: { app: "src/main.tsx" },
  bundle: true, minify: true, splitting: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "none",
  jsx: "automatic", jsxImportSource: "preact", outdir: "dist", chunkNames: "[name]-[hash]",
});
copyFileSync("src/index.html", "dist/index.html");
const files = readdirSync("dist").sort();
const rows = files.map((file) => `    ("${file}", include_bytes!("${file}")),\n`).join("");
writeFileSync("dist/files.rs", `// Written by build.mjs.\nconst FILES: &[(&str, &[u8])] = &[\n${rows}];\n`);
