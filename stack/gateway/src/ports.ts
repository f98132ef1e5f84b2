import { createServer } from 'node:net';

/** The first of `ports` that nobody listens on; a single one is not tried, so that its error comes from who needs it. */
export async function firstFreePort(host: string, ports: number[]): Promise<number> {
  const only = ports[0];
  if (ports.length === 1 && only !== undefined) return only;
  for (const port of ports) {
    if (await isFree(host, port)) return port;
  }
  throw new Error(`none of the ports ${ports.join(', ')} of ${host} is free`);
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen({ host, port }, () => server.close(() => resolve(true)));
  });
}
