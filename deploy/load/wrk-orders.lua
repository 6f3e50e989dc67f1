-- Orders for wrk, as dev/load runs it: one order for one piece each, with a customer's token and a key that nobody has used.
-- As little as possible is done here, because it takes its time from the engine: requests are put together from prepared
-- pieces, and answers are not looked into. wrk itself counts all of them and those that are not 2xx; dev/load learns
-- from the engine's own figures which statuses those had.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init()
  sent = 0
  key = os.getenv("LOAD_RUN") .. "-" .. number .. "-"
  local body = string.format(
    '{"lines":[{"sku":"%s","quantity":1}],"payment":{"method":"konbini",'
      .. '"konbini":{"chain":"seven_eleven","phone":"09012345678"}}}',
    os.getenv("LOAD_SKU")
  )
  heads = {}
  for token in io.lines(os.getenv("LOAD_TOKENS")) do
    table.insert(heads, table.concat({
      "POST /v1/orders HTTP/1.1",
      "Host: " .. wrk.host .. ":" .. wrk.port,
      "Authorization: Bearer " .. token,
      "Content-Type: application/json",
      "Content-Length: " .. #body,
      "Idempotency-Key: ",
    }, "\r\n"))
  end
  assert(#heads > 0, "no tokens")
  tail = "\r\n\r\n" .. body
end

function request()
  sent = sent + 1
  return heads[sent % #heads + 1] .. key .. sent .. tail
end

function done(summary, latency)
  local function milliseconds(percentile)
    return string.format("%.2fms", latency:percentile(percentile) / 1e3)
  end
  local errors = summary.errors
  local result = assert(io.open(os.getenv("LOAD_RESULT"), "w"))
  result:write(table.concat({
    string.format("%.3f", summary.duration / 1e6),
    summary.requests - errors.status,
    errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    milliseconds(50), milliseconds(99), milliseconds(99.9),
  }, " "), "\n")
  result:close()
end
