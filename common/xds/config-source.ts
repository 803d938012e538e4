import type messages from "./generated/messages.js";

type ConfigSource = messages.envoy.config.core.v3.ConfigSource;

/** "Ask on the aggregated stream", in the v3 API; Envoy refuses the older versions. */
export function adsConfigSource(): ConfigSource {
  return { ads: {}, resourceApiVersion: 2 };
}
