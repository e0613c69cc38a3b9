/** Makes garbage around data that stays: trees of many lives. Prints the seconds that it took, and checks what it built. */
public class Garbage {
    private static final int LASTING = 18, SHORTEST = 4, LONGEST = 16, NODES = 1 << 25;

    private record Node(Node left, Node right) {}

    public static void main(String[] arguments) {
        long begin = System.nanoTime();
        Node lasting = grow(LASTING);
        for (int depth = SHORTEST; depth <= LONGEST; depth += 2) {
            for (int round = 0; round < NODES >> depth; round++) {
                check(grow(depth), depth);
            }
        }
        check(lasting, LASTING);
        System.out.println((System.nanoTime() - begin) / 1e9);
    }

    private static Node grow(int depth) {
        return depth == 0 ? new Node(null, null) : new Node(grow(depth - 1), grow(depth - 1));
    }

    private static void check(Node tree, int depth) {
        if (count(tree) != (2 << depth) - 1) throw new AssertionError("a tree has lost nodes");
    }

    private static int count(Node node) {
        return node.left == null ? 1 : 1 + count(node.left) + count(node.right);
    }
}
