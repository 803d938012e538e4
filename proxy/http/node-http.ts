/**
 * What we use of node:http. An import would be simpler, but an import of a built-in module reads all its exports, and among those of
 * node:http are WebSocket and others, which Node loads on first sight: 7 MB of a sidecar's memory that it never uses.
 */
export const { createServer, STATUS_CODES } = process.getBuiltinModule("node:http");
