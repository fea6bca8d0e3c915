-- Asks the limits service before a model call, and tells it afterwards what the upstream answered.

local limits = {}
local host, port

-- Answers up to WHOLE bytes are copied whole. A longer event stream keeps its first and last bytes, where providers
-- tell usage. Any other longer answer is settled as it was held.
local WHOLE, END = 4 * 1024 * 1024, 128 * 1024
local TRIES = 3
local PASSED_ON = {
    ["content-type"] = true, ["retry-after"] = true, ["x-should-retry"] = true, ["www-authenticate"] = true,
    ["ratelimit"] = true, ["ratelimit-policy"] = true, ["x-request-id"] = true,
}
local DOWN = '{"type": "unavailable", "error": {"type": "unavailable", "code": "limits_unavailable", ' ..
    '"message": "The limits service does not answer. Try again later."}}'

function limits.service(address)
    host, port = address:match("^(.+):(%d+)$")
    port = tonumber(port)
end

-- What only this proxy may say: the client's own headers of these names go first.
local function strip()
    for name in pairs(ngx.req.get_headers(0)) do
        if name:find("^x%-governance%-") or name == "x-reservation-id" then
            ngx.req.clear_header(name)
        end
    end
end

local function refuse(status, headers, body)
    ngx.status = status
    for name, value in pairs(headers) do
        if PASSED_ON[name:lower()] then
            ngx.header[name] = value
        end
    end
    ngx.print(body)
    return ngx.exit(ngx.HTTP_OK)
end

function limits.authorize(provider)
    strip()
    ngx.req.read_body()
    local answer = ngx.location.capture("/_limits/authorize", {
        method = ngx.HTTP_POST, always_forward_body = true, vars = {provider = provider},
    })
    if answer.status == 200 then
        ngx.ctx.reservation = answer.header["X-Reservation-Id"]
    elseif answer.status < 500 then
        return refuse(answer.status, answer.header, answer.body)
    elseif os.getenv("GOVERNANCE_FAIL") ~= "open" then
        return refuse(503, {["Content-Type"] = "application/json"}, DOWN)
    end
end

function limits.copy()
    local call, bytes = ngx.ctx, ngx.arg[1]
    if not call.reservation or bytes == "" then
        return
    end
    call.parts, call.size = call.parts or {}, (call.size or 0) + #bytes
    if call.size <= WHOLE then
        call.parts[#call.parts + 1] = bytes
    elseif not ngx.header["Content-Encoding"] and (ngx.header["Content-Type"] or ""):find("text/event-stream", 1, true) then
        if not call.tail then
            call.tail = table.concat(call.parts)
            call.parts = {call.tail:sub(1, END)}
        end
        call.tail = (call.tail .. bytes):sub(-END)
    else
        call.parts = {}
    end
end

local function answer_of(call)
    local parts = call.parts or {}
    if call.tail then -- cut where an event begins
        parts[2] = "\n\n" .. call.tail:sub((call.tail:find("\n\n", 1, true) or #call.tail) + 2)
    end
    return table.concat(parts)
end

local function post(head, body)
    local socket = ngx.socket.tcp()
    socket:settimeouts(1000, 5000, 5000)
    local line
    local done, problem = socket:connect(host, port)
    if done then
        done, problem = socket:send({head, body})
    end
    if done then
        line, problem = socket:receive("*l")
    end
    socket:close()
    return line and tonumber(line:match("^HTTP/1%.%d (%d+)")), problem
end

local function report(premature, head, body, try)
    local status, problem = post(head, body)
    if status and status < 500 then
        return status >= 300 and ngx.log(ngx.ERR, "the limits service refused to settle, with status ", status)
    end
    if premature or try == TRIES then
        return ngx.log(ngx.ERR, "a call was not settled, and will be charged its estimate: ", problem or status)
    end
    ngx.timer.at(try, report, head, body, try + 1)
end

-- Whether an upstream may have worked on a call without an answer (a timeout, a lost connection, a client that went
-- away). It may bill that, so such a call is settled as it was held. An upstream that was not reached bills nothing.
local function may_be_billed()
    local function last(list)
        return (list or "-"):match("[^, :]+$")
    end
    return last(ngx.var.upstream_connect_time) ~= "-" and last(ngx.var.upstream_header_time) == "-"
end

function limits.settle()
    local call = ngx.ctx
    if not call.reservation then
        return
    end
    local unknown = may_be_billed()
    local body = unknown and "" or answer_of(call)
    local lines = {
        "POST /gateway/settled HTTP/1.1",
        "Host: limits",
        "Connection: close",
        "X-Governance-Key: " .. (os.getenv("GOVERNANCE_KEY") or ""),
        "X-Reservation-Id: " .. call.reservation,
        "X-Upstream-Status: " .. (unknown and 200 or ngx.status),
        "Content-Type: " .. (ngx.header["Content-Type"] or "application/octet-stream"),
        "Content-Length: " .. #body,
    }
    if ngx.header["Content-Encoding"] then
        lines[#lines + 1] = "Content-Encoding: " .. ngx.header["Content-Encoding"]
    end
    ngx.timer.at(0, report, table.concat(lines, "\r\n") .. "\r\n\r\n", body, 1)
end

return limits
