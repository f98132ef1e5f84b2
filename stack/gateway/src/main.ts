import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { firstFreePort } from './ports.js';
import { readSettings, type Settings, SettingsError } from './settings.js';

const SHUTDOWN_DEADLINE_MS = 3000;
const RSS_CHECK_EVERY_MS = 100;

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.with(settings),
    // Open SSE streams would otherwise keep the server from ever closing.
    new FastifyAdapter({ forceCloseConnections: true }),
    { logger: ['error', 'warn', 'log'] },
  );
  app.enableShutdownHooks();
  process.once('SIGTERM', exitAfterDeadline);
  process.once('SIGINT', exitAfterDeadline);
  if (settings.rssLimitBytes > 0) dieAbove(settings.rssLimitBytes);
  const port = await firstFreePort(settings.host, settings.ports);
  await app.listen({ host: settings.host, port });
  announce(settings, port);
}

function announce(settings: Settings, port: number): void {
  const form = settings.guard ? 'guarded' : 'naive';
  new Logger('Gateway').log(`${form} gateway on http://${settings.host}:${port}, pid ${process.pid}`);
}

/** A stream that cannot be closed must not keep a stopped gateway alive. */
function exitAfterDeadline(): void {
  setTimeout(() => process.exit(0), SHUTDOWN_DEADLINE_MS).unref();
}

/**
 * RSS_LIMIT_MB: stands in for the kernel's memory limit where there is no cgroup. It ends the process as abruptly as the
 * kernel would: SIGKILL, exit code 137.
 */
function dieAbove(limitBytes: number): void {
  setInterval(() => {
    const rss = process.memoryUsage.rss();
    if (rss <= limitBytes) return;
    process.stderr.write(`resident memory ${rss} passed RSS_LIMIT_MB (${limitBytes} bytes): killed\n`);
    process.kill(process.pid, 'SIGKILL');
  }, RSS_CHECK_EVERY_MS).unref();
}

main().catch((error: unknown) => {
  const text = error instanceof SettingsError ? error.message : String((error as Error)?.stack ?? error);
  process.stderr.write(`gateway: ${text}\n`);
  process.exit(error instanceof SettingsError ? 2 : 1);
});
