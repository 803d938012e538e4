// prom-client has types for its index only; each of these files exports one of the classes that the index names.

declare module "prom-client/lib/counter.js" {
  import { Counter } from "prom-client";

  export = Counter;
}

declare module "prom-client/lib/gauge.js" {
  import { Gauge } from "prom-client";

  export = Gauge;
}

declare module "prom-client/lib/registry.js" {
  import { Registry } from "prom-client";

  export = Registry;
}
