-- For wrk: requests as various as those of a site, with what is hard on a log format among them.
local paths = { "/", "/blog/2015/gr%C3%B6%C3%9Fe", "/search?q=%22quoted%22&page=2", "/images/a%20b.png", "/back\\slash" }
local referers = { "http://127.0.0.1/größe", "http://127.0.0.1/?q=\"quoted\"", "-" }
local agents = {
  "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
  'agent "in quotes" \\ and 😀',
  "curl/8.0",
}
local number = 0

request = function()
  number = number + 1
  return wrk.format("GET", paths[number % #paths + 1], {
    ["User-Agent"] = agents[number % #agents + 1],
    Referer = referers[number % 7 % #referers + 1],
  })
end
