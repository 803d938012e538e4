/** What a client of TLS 1.2 says first, with the server name that it asks for: enough to be told from everything else. */
export function clientHello(serverName?: string): Buffer {
  const extensions = serverName === undefined ? Buffer.alloc(0) : serverNameExtension(serverName);
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    Buffer.from([0, 0, 2, 0, 47, 1, 0]),
    ...(serverName === undefined ? [] : [Buffer.from([0, extensions.length]), extensions]),
  ]);
  const handshake = Buffer.concat([Buffer.from([1, 0, 0, body.length]), body]);
  return Buffer.concat([Buffer.from([22, 3, 1, 0, handshake.length]), handshake]);
}

function serverNameExtension(name: string): Buffer {
  const text = Buffer.from(name);
  const entry = Buffer.concat([Buffer.from([0, 0, text.length]), text]);
  const content = Buffer.concat([Buffer.from([0, entry.length]), entry]);
  return Buffer.concat([Buffer.from([0, 0, 0, content.length]), content]);
}
