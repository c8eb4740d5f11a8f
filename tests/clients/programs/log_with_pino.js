// Logs through pino into pino-http-send as a stream, and the same lines into a file as a witness.
// Argument: {"count", "witness", "send": options of pino-http-send or nothing} as JSON; without
// "send" the lines go to standard output, for the command of pino-http-send to read.
'use strict';
const fs = require('node:fs');
const pino = require('pino');

const { count, witness, send } = JSON.parse(process.argv[2]);
const destination = send ? require('pino-http-send').createWriteStream(send) : process.stdout;
const logger = pino(
  { level: 'trace', base: { service: 'client-test', größe: 'ä' } },
  pino.multistream([
    { level: 'trace', stream: destination },
    { level: 'trace', stream: fs.createWriteStream(witness) },
  ]),
);

for (let number = 0; number < count; number += 1) {
  const level = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'][number % 6];
  logger[level](
    { number, ratio: number / 7, nested: { list: [1, null, { deep: true }], empty: {} } },
    `entry ${number}: "é" 😀 \\ \t end`,
  );
}
logger.error(new Error('with a stack trace'));
destination.end();
