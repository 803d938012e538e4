import type { Command } from "commander";

/** The command's verbs in the order of its help. Only the one that is asked for is loaded: a sidecar has no use for what `weft up` needs, and would keep it in memory. */
export const verbs: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import("./up.ts")).upCommand(),
  "control-plane": async () => (await import("./control-plane.ts")).controlPlaneCommand(),
  proxy: async () => (await import("./proxy.ts")).proxyCommand(),
  gateway: async () => (await import("./gateway.ts")).gatewayCommand(),
  capture: async () => (await import("./capture.ts")).captureCommand(),
  apply: async () => (await import("./apply.ts")).applyCommand(),
  delete: async () => (await import("./delete.ts")).deleteCommand(),
  get: async () => (await import("./get.ts")).getCommand(),
  status: async () => (await import("./status.ts")).statusCommand(),
  validate: async () => (await import("./validate.ts")).validateCommand(),
  convert: async () => (await import("./convert.ts")).convertCommand(),
  explain: async () => (await import("./explain.ts")).explainCommand(),
};
