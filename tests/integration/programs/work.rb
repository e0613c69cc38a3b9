require 'json'
require 'digest'
require 'set'
require 'tempfile'
require 'zlib'
require 'time'

counts = Hash.new(0)
File.foreach(ARGV[0]) { |line| line.split.each { |word| counts[word.size] += 1 } }
puts counts.sort.map { |size, n| "#{size}:#{n}" }.join(' ')
puts (1..20).lazy.select(&:even?).map { |n| n**10 }.first(4).inspect
puts JSON.parse(JSON.generate({ list: [1, 2.5, nil], text: 'ünï' })).inspect
puts Digest::SHA256.hexdigest('x' * 100_000), Zlib::Inflate.inflate(Zlib::Deflate.deflate('abc' * 1000)).size
Tempfile.create('compat') do |file|
  file.write('line' * 1000)
  file.flush
  puts File.size(file.path)
end
queue = Queue.new
threads = 4.times.map { |i| Thread.new { 200.times { |n| queue << n * i } } }
threads.each(&:join)
puts queue.size, Array.new(queue.size) { queue.pop }.sum
fiber = Fiber.new { 3.times { |i| Fiber.yield i } }
puts 3.times.map { fiber.resume }.inspect
begin
  raise ArgumentError, 'deliberate'
rescue => error
  puts "#{error.class}: #{error.message}"
end
started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
sleep 0.02
puts Process.clock_gettime(Process::CLOCK_MONOTONIC) - started >= 0.02
puts Time.at(1_700_000_000).utc.iso8601, 2**200, 'wörd'.unicode_normalize(:nfd).length
warn 'to stderr'
