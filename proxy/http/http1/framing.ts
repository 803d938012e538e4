/**
 * How many body octets follow a head (RFC 9112 section 6.3): a number of octets, chunks, everything until the connection ends
 * (responses of old servers only), or a tunnel in both directions after a switch of protocols.
 */
export type Framing = number | "chunked" | "untilClose" | "tunnel";
