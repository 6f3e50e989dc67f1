-- The requests of dev/load for wrk: one order for one piece each, with a customer's token and a key that nobody has used.
-- Every thread counts answers by status for itself; `done` adds them up.

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init()
  statuses = {}
  sent = 0
  run = os.getenv("LOAD_RUN")
  headers = {}
  for token in io.lines(os.getenv("LOAD_TOKENS")) do
    table.insert(headers, "Bearer " .. token)
  end
  assert(#headers > 0, "no tokens")
  body = string.format(
    '{"lines":[{"sku":"%s","quantity":1}],"payment":{"method":"konbini",'
      .. '"konbini":{"chain":"seven_eleven","phone":"09012345678"}}}',
    os.getenv("LOAD_SKU")
  )
end

function request()
  sent = sent + 1
  return wrk.format("POST", "/v1/orders", {
    ["Authorization"] = headers[sent % #headers + 1],
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = run .. "-" .. number .. "-" .. sent,
  }, body)
end

function response(status)
  statuses[status] = (statuses[status] or 0) + 1
end

function done(summary, latency)
  local counts = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("statuses")) do
      counts[status] = (counts[status] or 0) + count
    end
  end

  local seconds = summary.duration / 1e6
  local function rate(count)
    return string.format("%.0f", count / seconds)
  end
  local function milliseconds(percentile)
    return string.format("%.2fms", latency:percentile(percentile) / 1e3)
  end

  local other, by_status = 0, {}
  for status, count in pairs(counts) do
    if status ~= 201 and status ~= 409 then
      other = other + count
      table.insert(by_status, status .. ": " .. count)
    end
  end
  table.sort(by_status)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout

  local orders, refused = rate(counts[201] or 0), rate(counts[409] or 0)
  local p50, p99, p999 = milliseconds(50), milliseconds(99), milliseconds(99.9)
  print("orders    " .. orders .. "/s (" .. (counts[201] or 0) .. " answers 201)")
  print("refused   " .. refused .. "/s (" .. (counts[409] or 0) .. " answers 409)")
  print("other     " .. (#by_status > 0 and table.concat(by_status, ", ") or "none"))
  print(string.format("broken    connect %d, read %d, write %d, late %d", errors.connect, errors.read, errors.write,
    errors.timeout))
  print("latency   p50 " .. p50 .. ", p99 " .. p99 .. ", p99.9 " .. p999 .. ", max "
    .. string.format("%.2fms", latency.max / 1e3))

  local result = assert(io.open(os.getenv("LOAD_RESULT"), "w"))
  result:write(table.concat({ orders, refused, rate(other + broken), p50, p99, p999, counts[429] or 0 }, " "), "\n")
  result:close()
end
