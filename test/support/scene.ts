import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach } from "vitest";
import type { ProxyApp } from "../../proxy/app.ts";
import { startProxy } from "../../proxy/app.ts";
import type { EchoServer } from "./echo-server.ts";
import { startEcho } from "./echo-server.ts";
import { proxySettings } from "./proxy-resources.ts";
import { YamlMesh } from "./yaml-mesh.ts";

/** What a test starts; all of it ends after the test, the last first. */
export interface Scene {
  /** Has `stop` run after the test. */
  after(stop: () => unknown): void;
  echo(...args: Parameters<typeof startEcho>): Promise<EchoServer>;
  /** A proxy without a control plane. */
  proxy(...args: Parameters<typeof proxySettings>): Promise<ProxyApp>;
  /** A mesh with these resources, whose proxies are still to be started. */
  meshOf(...texts: readonly string[]): Promise<YamlMesh>;
}

/** To be made once, at the top of a test file. */
export function sceneOfEachTest(): Scene {
  const stops: (() => unknown)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  return {
    after: (stop) => void stops.push(stop),
    echo: async (...args) => {
      const server = await startEcho(...args);
      stops.push(() => server.stop());
      return server;
    },
    proxy: async (...args) => {
      const proxy = await startProxy(proxySettings(...args));
      stops.push(() => proxy.stop());
      return proxy;
    },
    meshOf: async (...texts) => {
      const mesh = new YamlMesh();
      stops.push(() => mesh.stop());
      await mesh.apply(...texts);
      return mesh;
    },
  };
}

let collectGarbage: (() => void) | undefined;

/** Bytes in use once what nobody holds any more is gone. */
export function liveBytes(): number {
  setFlagsFromString("--expose_gc");
  collectGarbage ??= runInNewContext("gc") as () => void;
  collectGarbage();
  collectGarbage();
  const { external, heapUsed } = process.memoryUsage();
  return external + heapUsed;
}
