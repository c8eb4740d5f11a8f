-- One POST, the same for the whole run: wrk formats it once, so that the load costs as little as it can.
-- Arguments: the file with the body, its media type, then names and values of further headers. The result is one line
-- of JSON, the last one printed.

function init(args)
   local file = assert(io.open(args[1], "rb"))
   wrk.method = "POST"
   wrk.body = file:read("*a")
   wrk.headers["Content-Type"] = args[2]
   for at = 3, #args, 2 do
      wrk.headers[args[at]] = args[at + 1]
   end
   file:close()
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "p999_us": %d, "refused": %d, "socket_errors": %d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
