/**
 * Writes `dist/cli/`, or `FOLDER/cli/`: the command with all of our own code in few files, so that a part loads a dozen modules where the
 * sources are three hundred, which saves a third of the CPU until a sidecar is ready. Libraries stay what npm installs. Every file lies
 * beside main.js, which cli/local-mesh and the readers of package.json rely on.
 *
 *   node deploy/bundle.mjs [FOLDER]
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = process.argv[2] ?? join(root, "dist");
rmSync(folder, { recursive: true, force: true });
const bundle = await rolldown({
  cwd: root,
  input: { main: "./cli/main.ts" },
  platform: "node",
  external: (id) => /^[a-z@]/.test(id),
});
await bundle.write({
  dir: join(folder, "cli"),
  format: "esm",
  entryFileNames: "[name].js",
  chunkFileNames: "[name]-[hash].js",
});
await bundle.close();
