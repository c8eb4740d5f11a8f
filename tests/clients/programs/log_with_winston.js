// Logs through winston's Http transport, and the same entries through its File transport as a witness.
// Argument: {"port", "count", "witness", "http": options of the transport} as JSON.
'use strict';
const winston = require('winston');

const { port, count, witness, http } = JSON.parse(process.argv[2]);
const shipped = new winston.transports.Http({ host: '127.0.0.1', port, path: '/winston', ...http });
// The transport tells of a failed request by this event only.
shipped.on('warn', (error) => {
  console.error(`winston: ${error}`);
  process.exitCode = 1;
});
const logger = winston.createLogger({
  level: 'silly',
  format: winston.format.combine(winston.format.errors({ stack: true }), winston.format.json()),
  defaultMeta: { service: 'client-test', größe: 'ä' },
  transports: [shipped, new winston.transports.File({ filename: witness })],
});

for (let number = 0; number < count; number += 1) {
  const level = ['error', 'warn', 'info', 'debug'][number % 4];
  logger.log(level, `entry ${number}: "é" 😀 \\ \t end`, {
    number,
    ratio: number / 7,
    nested: { list: [1, null, { deep: true }], empty: {} },
    halfAnEmoji: '\ud83d',
  });
}
