import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { SummaryReporter } from "./support/summary-reporter.ts";

/** Two projects: `unit` lies beside the code and takes seconds, `e2e` drives whole processes over sockets. */
export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    reporters: ["default", new SummaryReporter()],
    setupFiles: [fileURLToPath(new URL("support/seed.ts", import.meta.url))],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{common,proxy,control-plane,cli,examples}/**/*.test.ts", "test/{*,oracle/*}.test.ts"],
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: "e2e",
          include: ["test/{integration,e2e,conformance,interop,fuzz}/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
