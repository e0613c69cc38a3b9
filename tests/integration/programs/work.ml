(* Allocation, threads, signals, a stack that overflows. *)
let rec fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)
let rec deep n = 1 + deep (n + 1)

let () =
  Printf.printf "%d\n" (fib 22);
  let numbers = List.init 100000 (fun i -> i * 7919 mod 100003) in
  Printf.printf "%d\n" (List.nth (List.sort compare numbers) 500);
  let sums = Array.make 8 0 in
  let work i = for n = 1 to 10000 do sums.(i) <- sums.(i) + n; if n mod 1000 = 0 then Thread.yield () done in
  List.iter Thread.join (List.init 8 (Thread.create work));
  Printf.printf "%d\n" (Array.fold_left ( + ) 0 sums);
  (try ignore (deep 0) with Stack_overflow -> print_endline "stack overflow");
  let seen = ref 0 in
  Sys.set_signal Sys.sigusr1 (Sys.Signal_handle (fun _ -> incr seen));
  Unix.kill (Unix.getpid ()) Sys.sigusr1;
  while !seen = 0 do Thread.yield () done;
  Gc.compact ();
  print_endline "end";
  exit 4
