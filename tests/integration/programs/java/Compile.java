import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/** Compiles 100 classes that need each other, in memory, loads them and runs the first. */
public class Compile {
    static final int COUNT = 100;

    static String source(int i) {
        String next = i + 1 < COUNT ? String.format("Class%03d.value(n + 1)", i + 1) : "0";
        return String.format(
                """
                import java.util.*;
                public class Class%03d {
                    sealed interface Shape permits Square, Circle { double area(); }
                    record Square(double side) implements Shape { public double area() { return side * side; } }
                    record Circle(double radius) implements Shape { public double area() { return 3 * radius * radius; } }
                    static <T extends Comparable<T>> T most(List<T> all) {
                        return all.stream().max(Comparator.naturalOrder()).orElseThrow();
                    }
                    public static int value(int n) {
                        Shape shape = n %% 2 == 0 ? new Square(%d) : new Circle(%d);
                        return most(List.of(n, (int) shape.area() %% 5)) + %s;
                    }
                }
                """,
                i, i, i, next);
    }

    static class Source extends SimpleJavaFileObject {
        final String text;

        Source(int i) {
            super(URI.create(String.format("string:///Class%03d.java", i)), Kind.SOURCE);
            text = source(i);
        }

        @Override
        public CharSequence getCharContent(boolean ignoreErrors) {
            return text;
        }
    }

    static class Output extends SimpleJavaFileObject {
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        Output(String name) {
            super(URI.create("bytes:///" + name.replace('.', '/') + ".class"), Kind.CLASS);
        }

        @Override
        public OutputStream openOutputStream() {
            return bytes;
        }
    }

    static class Memory extends ForwardingJavaFileManager<StandardJavaFileManager> {
        final Map<String, Output> classes = new TreeMap<>();

        Memory(StandardJavaFileManager below) {
            super(below);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                JavaFileManager.Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            return classes.computeIfAbsent(name, Output::new);
        }
    }

    public static void main(String[] args) throws Exception {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        Memory memory = new Memory(compiler.getStandardFileManager(null, null, null));
        List<Source> sources = new ArrayList<>();
        for (int i = 0; i < COUNT; i++) {
            sources.add(new Source(i));
        }
        System.out.println("compiled " + compiler.getTask(null, memory, null, null, null, sources).call());
        CRC32 sum = new CRC32();
        memory.classes.values().forEach(output -> sum.update(output.bytes.toByteArray()));
        System.out.println(memory.classes.size() + " classes, " + Long.toHexString(sum.getValue()));
        ClassLoader loader = new ClassLoader() {
            @Override
            protected Class<?> findClass(String name) throws ClassNotFoundException {
                Output found = memory.classes.get(name);
                if (found == null) {
                    throw new ClassNotFoundException(name);
                }
                byte[] bytes = found.bytes.toByteArray();
                return defineClass(name, bytes, 0, bytes.length);
            }
        };
        System.out.println(loader.loadClass("Class000").getMethod("value", int.class).invoke(null, 1));
    }
}
