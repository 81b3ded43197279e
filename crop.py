from PIL import Image
a=Image.open('/tmp/shot-light-1280.png').convert('RGB')
for i in range(4): a.crop((60,i*1150,1220,(i+1)*1150)).save(f'/tmp/c{i}.png')
b=Image.open('/tmp/shot-light-360.png').convert('RGB')
n=Image.new('RGB',(360*5,1500))
for i in range(5): n.paste(b.crop((0,1000+i*1500,360,1000+(i+1)*1500)),(i*360,0))
n.save('/tmp/n.png')
