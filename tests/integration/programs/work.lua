local count = {}
for line in io.lines(arg[1]) do
    for word in line:gmatch("%a+") do count[#word] = (count[#word] or 0) + 1 end
end
for length = 1, 10 do print(length, count[length]) end
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(fib(24), string.format("%.10f", math.sin(1)), 7 // 2, 7 % -3, 1 << 40)
local co = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i * i) end end)
print(co(), co(), co())
local fine, problem = pcall(error, { code = 1 })
print(fine, problem.code)
local parts = {}
for i = 1, 50000 do parts[i] = ("%d"):format(i) end
print(#table.concat(parts), collectgarbage("count") > 0)
local name = os.tmpname()
local file = assert(io.open(name, "w"))
file:write(("x"):rep(100000))
file:close()
file = io.open(name)
print(file:seek("end"))
file:close()
print(os.remove(name), os.date("!%Y-%m-%d", 1700000000), select("#", os.getenv("HOME")))
io.stderr:write("to stderr\n")
