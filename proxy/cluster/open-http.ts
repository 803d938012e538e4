import type { Clock } from "../../common/base/clock.ts";
import { clientHttp1 } from "../http/http1/client.ts";
import { clientHttp2 } from "../http/http2/client.ts";
import { defaultHttp2ClientSettings } from "../http/http2/client-settings.ts";
import { connect } from "../net/connect.ts";
import { sharedProtocol } from "../net/mesh-tls.ts";
import type { TlsClient } from "../net/tls-client.ts";
import type { Connect, UpstreamHttp2 } from "./connect.ts";

/** Opens connections for requests, and speaks on them what was asked for or what ALPN agreed on. */
export function openHttp(tlsClient: TlsClient, clock: Clock): Connect {
  return async ({ host, port, from }, timeoutMs, keepalive, tls, http2) => {
    const target = { host, port, from, timeoutMs, keepalive };
    if (tls === undefined) {
      const socket = await connect(target, clock);
      return http2 === undefined ? clientHttp1(socket, clock) : clientHttp2(socket, clock, settingsOf(http2));
    }
    const multiplexed = http2?.isShared ? sharedProtocol : "h2";
    const protocols = http2 === undefined ? ["http/1.1"] : [multiplexed, "http/1.1"];
    const socket = await tlsClient.connect(target, tls.settings, tls.serverName, protocols);
    return http2 !== undefined && socket.alpnProtocol === multiplexed
      ? clientHttp2(socket, clock, settingsOf(http2), http2.isShared)
      : clientHttp1(socket, clock);
  };
}

function settingsOf({ keepalive }: UpstreamHttp2): typeof defaultHttp2ClientSettings {
  if (keepalive === undefined) return defaultHttp2ClientSettings;
  const { intervalMs: pingIntervalMs, timeoutMs: pingTimeoutMs } = keepalive;
  return { ...defaultHttp2ClientSettings, pingIntervalMs, pingTimeoutMs };
}
