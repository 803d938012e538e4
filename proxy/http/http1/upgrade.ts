/** The first protocol asked for, except HTTP/2 and TLS, which belong to the connection with us (case 16 of the threat list). */
export function chooseUpgrade(value: string): string | undefined {
  for (const part of value.toLowerCase().split(",")) {
    const protocol = part.trim();
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+(?:\/[!#$%&'*+\-.^_`|~0-9a-z]+)?$/.test(protocol)) continue;
    if (protocol === "h2c" || protocol === "h2" || /^(?:http|tls)(?:\/|$)/.test(protocol)) continue;
    return protocol;
  }
  return undefined;
}
