// Sends events with the clients that Node has itself, each in a request of its own, and prints what became of each.
// Argument: {"url", "client": "fetch" or "agent", "senders", "requests": [{"pause": ms, "fill": bytes}…]} as JSON. Each
// sender sends these one after the other; without "requests", small ones until connections are refused.
// Output: {number of the event: status of the answer or code of the error}.
'use strict';
const http = require('node:http');
const { setTimeout: pause } = require('node:timers/promises');

const { url, client, senders, requests } = JSON.parse(process.argv[2]);
const agent = new http.Agent({ keepAlive: true });
const headers = { 'content-type': 'application/json' };
const outcomes = {};

async function byFetch(text) {
  const answer = await fetch(url, { method: 'POST', headers, body: new Blob([text]).stream(), duplex: 'half' });
  await answer.text();
  return answer.status;
}

function byAgent(text) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', headers, agent }, (answer) => {
      answer.on('end', () => resolve(answer.statusCode)).on('error', reject).resume();
    });
    request.on('error', reject).end(text);
  });
}

async function outcome(event) {
  try {
    return String(await { fetch: byFetch, agent: byAgent }[client](JSON.stringify(event)));
  } catch (error) {
    return (error.cause ?? error).code;
  }
}

async function send(sender) {
  for (let turn = 0; !requests || turn < requests.length; turn += 1) {
    const request = requests ? requests[turn] : { pause: 0, fill: 0 };
    await pause(request.pause);
    const n = turn * senders + sender;
    outcomes[n] = await outcome({ n, fill: 'x'.repeat(request.fill) });
    if (outcomes[n] === 'ECONNREFUSED') return;
  }
}

Promise.all(Array.from({ length: senders }, (_, sender) => send(sender))).then(() => {
  agent.destroy();
  process.stdout.write(JSON.stringify(outcomes));
});
